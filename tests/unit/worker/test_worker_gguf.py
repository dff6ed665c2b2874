"""Teachers in GGUF answer like the weights that they were made of."""

from collections.abc import Iterator
from pathlib import Path

import gguf
import micro_language as micro
import numpy as np
import pytest
import torch
from distillery_api.student import ModelSource
from distillery_worker.errors import InputRefused
from distillery_worker.evaluation.likelihood import mean_losses
from distillery_worker.students.llama import load_decoder
from distillery_worker.tasks.next_token import NextToken
from distillery_worker.teachers.language_model import LanguageModelTeacher, fetch_language_model
from transformers import LlamaConfig, LlamaForCausalLM

NAMES = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
}  # fmt: skip
HEADS = 2


@pytest.fixture
def model() -> LlamaForCausalLM:
    """A Llama whose embeddings are its output layer, too."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=260, hidden_size=32, num_hidden_layers=1, num_attention_heads=HEADS, intermediate_size=32,
        max_position_embeddings=64, tie_word_embeddings=True, bos_token_id=258, eos_token_id=259,
    )  # fmt: skip
    return LlamaForCausalLM(config).eval()


def interleaved(weight: np.ndarray) -> np.ndarray:
    """Queries and keys as llama.cpp orders the halves of their rotary positions."""
    return weight.reshape(HEADS, 2, -1, weight.shape[1]).swapaxes(1, 2).reshape(weight.shape)


def tensors_of(model: LlamaForCausalLM) -> Iterator[tuple[str, np.ndarray]]:
    state = {name: tensor.detach().numpy() for name, tensor in model.named_parameters()}
    yield "token_embd.weight", state["model.embed_tokens.weight"]
    yield "output_norm.weight", state["model.norm.weight"]
    for ours, theirs in NAMES.items():
        weight = state[f"model.layers.0.{ours}.weight"]
        yield f"blk.0.{theirs}.weight", interleaved(weight) if theirs in ("attn_q", "attn_k") else weight


def write_gguf(path: Path, model: LlamaForCausalLM) -> None:
    """The model with a tokenizer of bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(64)
    writer.add_embedding_length(32)
    writer.add_block_count(1)
    writer.add_feed_forward_length(32)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(model.config.rms_norm_eps)
    writer.add_rope_dimension_count(16)
    writer.add_vocab_size(260)
    writer.add_tokenizer_model("gpt2")
    first, second, *_ = alphabet()
    writer.add_token_list([*alphabet(), first + second, second + first, "<begin>", "<end>"])
    writer.add_token_types([gguf.TokenType.NORMAL] * 258 + [gguf.TokenType.CONTROL] * 2)
    writer.add_token_merges([f"{first} {second}", f"{second} {first}"])
    writer.add_bos_token_id(258)
    writer.add_eos_token_id(259)
    for name, tensor in tensors_of(model):
        writer.add_tensor(name, np.ascontiguousarray(tensor, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def alphabet() -> list[str]:
    """The printable characters that stand for bytes in byte-level tokenizers."""
    from tokenizers.pre_tokenizers import ByteLevel as Bytes

    return sorted(Bytes.alphabet())


def fetch(source: Path, dest: Path) -> LanguageModelTeacher:
    return fetch_language_model(LanguageModelTeacher, ModelSource(uri=f"file://{source}"), None, NextToken(), dest)


def test_a_gguf_file_answers_like_its_weights(model: LlamaForCausalLM, tmp_path: Path) -> None:
    write_gguf(tmp_path / "source" / "tiny.gguf", model)
    teacher = fetch(tmp_path / "source", tmp_path / "teacher")
    blocks = teacher.encoder.blocks(micro.document(3, 20))
    assert blocks[-1].ids[-1] == 259  # the file's end token
    assert mean_losses(teacher.model, blocks) == pytest.approx(mean_losses(model, blocks), rel=1e-4)
    assert not hasattr(load_decoder(teacher.path).config, "quantization_config")
    assert teacher.length == 64


def test_a_folder_with_two_gguf_files_is_refused(model: LlamaForCausalLM, tmp_path: Path) -> None:
    for name in ("one.gguf", "two.gguf"):
        write_gguf(tmp_path / "source" / name, model)
    with pytest.raises(InputRefused, match=r"holds 'one.gguf', 'two.gguf'; keep one"):
        fetch(tmp_path / "source", tmp_path / "teacher")


def test_a_damaged_gguf_file_is_refused(model: LlamaForCausalLM, tmp_path: Path) -> None:
    path = tmp_path / "source" / "tiny.gguf"
    write_gguf(path, model)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(InputRefused, match=r"tiny.gguf does not load") as caught:
        fetch(tmp_path / "source", tmp_path / "teacher")
    assert caught.value.reason == "WeightsCorrupt"
