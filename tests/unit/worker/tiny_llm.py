"""A chat model of one layer that names the animal of a text, written as GGUF and served by llama.cpp."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gguf
import micro
import numpy as np
import torch
import xllamacpp
from distillery_worker.teachers.chat_endpoint import Message
from distillery_worker.teachers.label_answers import LabelQuestions
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer
from transformers import Qwen2Config, Qwen2ForCausalLM

QUESTIONS = LabelQuestions(tuple(micro.ANIMALS), "Which animal?")
END = "<end>"
TEMPLATE = (
    "{% for message in messages %}[{{ message.role }}]{{ message.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}[assistant]{% endif %}"
)
CONTEXT = 256  # tokens
KEY = "a-key-of-the-tests"
# GGUF names of one layer's tensors: ggml-org/ggml, docs/gguf.md
LAYER = {
    "input_layernorm.weight": "attn_norm.weight",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm.weight": "ffn_norm.weight",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def rendered(messages: Sequence[Message]) -> str:
    """What the chat template makes of the messages."""
    return "".join(f"[{message.role}]{message.content}\n" for message in messages) + "[assistant]"


def prompt_of(text: str) -> str:
    """The whole prompt that asks for the animal."""
    return rendered(QUESTIONS.question(Message("user", text)).messages)


class TinyLlm:
    """Tokenizer and weights, trained on 60 sentences until it knows the animals."""

    def __init__(self) -> None:
        rows = micro.sentences()[:60]
        self.tokenizer = train_tokenizer([prompt_of(text) + label for text, label in rows])
        torch.manual_seed(0)
        self.model = Qwen2ForCausalLM(
            Qwen2Config(
                vocab_size=self.tokenizer.get_vocab_size(),
                hidden_size=64,
                intermediate_size=64,
                num_hidden_layers=1,
                num_attention_heads=2,
                num_key_value_heads=2,
                max_position_embeddings=CONTEXT,
                tie_word_embeddings=True,
            )
        )
        self._learn(rows)

    def _learn(self, rows: list[tuple[str, str]]) -> None:
        optimizer = torch.optim.AdamW(self.model.parameters(), lr=0.005)
        encoded = [self.tokenizer.encode(prompt_of(text) + label + END).ids for text, label in rows]
        width = max(map(len, encoded))
        # Aligned at their ends: the answer and END are the last two tokens of each row.
        ids = torch.tensor([[0] * (width - len(row)) + row for row in encoded])
        mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in encoded])
        for step in range(60):
            picked = torch.arange(step % 3, len(rows), 3)
            logits = self.model(input_ids=ids[picked], attention_mask=mask[picked]).logits[:, -3:-1]
            loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[picked, -2:].flatten())
            torch.autograd.backward(loss)
            optimizer.step()
            optimizer.zero_grad()

    @torch.inference_mode()
    def log_probabilities(self, prompt: str) -> dict[str, float]:
        """Log-probability of each token's text after the prompt, as torch computes it."""
        ids = torch.tensor([self.tokenizer.encode(prompt).ids])
        logs = self.model(input_ids=ids).logits[0, -1].log_softmax(dim=-1)
        return {self.tokenizer.decode([index]): float(value) for index, value in enumerate(logs)}

    def write_gguf(self, path: Path) -> None:
        """Weights in float32, tokenizer and chat template in one file."""
        config, writer = self.model.config, gguf.GGUFWriter(path, "qwen2")
        writer.add_block_count(config.num_hidden_layers)
        writer.add_context_length(CONTEXT)
        writer.add_embedding_length(config.hidden_size)
        writer.add_feed_forward_length(config.intermediate_size)
        writer.add_head_count(config.num_attention_heads)
        writer.add_head_count_kv(config.num_key_value_heads)
        writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
        writer.add_layer_norm_rms_eps(config.rms_norm_eps)
        self._add_tokenizer(writer)
        for name, tensor in self.model.state_dict().items():
            if name != "lm_head.weight":  # the embeddings again
                writer.add_tensor(gguf_name(name), tensor.numpy().astype(np.float32))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()

    def _add_tokenizer(self, writer: Any) -> None:
        vocabulary = sorted(self.tokenizer.get_vocab().items(), key=lambda item: item[1])
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre("gpt-2")
        writer.add_token_list([token for token, _ in vocabulary])
        kinds = [gguf.TokenType.CONTROL if token == END else gguf.TokenType.NORMAL for token, _ in vocabulary]
        writer.add_token_types(kinds)
        writer.add_token_merges([" ".join(pair) for pair in merges_of(self.tokenizer)])
        writer.add_eos_token_id(self.tokenizer.token_to_id(END))
        writer.add_add_bos_token(False)
        writer.add_chat_template(TEMPLATE)


def train_tokenizer(texts: list[str]) -> Tokenizer:
    """Byte-level BPE, as GPT-2's."""
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = BpeTrainer(vocab_size=400, special_tokens=[END], initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def merges_of(tokenizer: Tokenizer) -> list[tuple[str, str]]:
    """Merges of a BPE tokenizer, in order."""
    return [tuple(pair) for pair in json.loads(tokenizer.to_str())["model"]["merges"]]


def gguf_name(name: str) -> str:
    """GGUF's name of a tensor of Qwen2."""
    fixed = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight"}
    if name in fixed:
        return fixed[name]
    _, _, layer, rest = name.split(".", 3)
    known = next(part for part in LAYER if rest.startswith(part))
    return f"blk.{layer}.{rest.replace(known, LAYER[known])}"


@contextmanager
def served(model: Path) -> Iterator[str]:
    """The base url of llama.cpp's own server on a free port of this machine, with KEY as its key."""
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(model)
    parameters.n_ctx, parameters.n_parallel = 2 * CONTEXT, 2
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 1
    parameters.hostnames, parameters.port, parameters.api_keys = ["127.0.0.1"], 0, [KEY]
    parameters.verbosity = 0
    server = xllamacpp.Server(parameters)
    try:
        yield f"{server.listening_address}/v1"
    finally:
        del server
