"""Trains the teacher in place: a byte-level BPE and a small Llama, saved as a plain Hugging Face folder."""

import sys
from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet as pq
import torch
import transformers
from tokenizers import ByteLevelBPETokenizer
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

END = "<|end|>"
SEED = 0


class Recipe(NamedTuple):
    """Sizes of vocabulary and model, and how long it is trained."""

    vocabulary: int
    width: int
    layers: int
    heads: int
    steps: int
    learning_rate: float = 2e-3
    batch_size: int = 8
    tokens: int = 128  # of one row of a batch


def train_teacher(train: Path, out: Path, recipe: Recipe) -> None:
    """Train tokenizer and model on the speeches of `train` and save both to `out`."""
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    texts = pq.read_table(train)["text"].to_pylist()
    tokenizer = train_tokenizer(texts, recipe)
    end = tokenizer.eos_token_id
    stream = torch.tensor([id_ for text in texts for id_ in [*tokenizer(text, verbose=False)["input_ids"], end]])
    torch.manual_seed(SEED)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=recipe.width,
            num_hidden_layers=recipe.layers,
            num_attention_heads=recipe.heads,
            intermediate_size=3 * recipe.width,
            max_position_embeddings=recipe.tokens,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=end,
        )
    )
    fit(model, stream, recipe)
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)


def train_tokenizer(texts: list[str], recipe: Recipe) -> PreTrainedTokenizerFast:
    """Bytes, merged until the vocabulary is full; END stands between texts."""
    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator(texts, vocab_size=recipe.vocabulary, special_tokens=[END], show_progress=False)
    return PreTrainedTokenizerFast(tokenizer_object=bpe._tokenizer, eos_token=END, model_max_length=recipe.tokens)


def fit(model: LlamaForCausalLM, stream: torch.Tensor, recipe: Recipe) -> None:
    """AdamW with a one-cycle schedule on random windows of the text."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.learning_rate, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.learning_rate, total_steps=recipe.steps, pct_start=0.1
    )
    model.train()
    for step in range(recipe.steps):
        starts = torch.randint(len(stream) - recipe.tokens, (recipe.batch_size,)).tolist()
        rows = torch.stack([stream[start : start + recipe.tokens] for start in starts])
        loss = model(input_ids=rows, labels=rows).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        if step % 100 == 0:
            print(f"teacher: step {step} of {recipe.steps}, loss {float(loss.detach()):.3f}", file=sys.stderr)
    model.eval()
