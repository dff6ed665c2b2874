"""Trains the teacher in place: a token for each letter and phoneme, and a small Llama, saved as a plain folder."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import torch
import transformers
from tokenizers import Regex, Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Split
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from words import Word

END = "<|end|>"
IGNORED = -100  # label of a token that is not learned
ALIKE = 50  # batches that are drawn at once, and made of rows of like length
SEED = 0
TOKENS = 48  # of the longest word with its phonemes


class Recipe(NamedTuple):
    """Size of the model, and how long it is trained."""

    width: int
    layers: int
    heads: int
    epochs: int
    learning_rate: float = 2e-3
    batch_size: int = 64


def train_teacher(words: list[Word], out: Path, recipe: Recipe) -> None:
    """Train a model to write the phonemes after a word, and save it with its tokenizer to `out`."""
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    tokenizer = symbols_of(words)
    torch.manual_seed(SEED)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=recipe.width,
            num_hidden_layers=recipe.layers,
            num_attention_heads=recipe.heads,
            intermediate_size=3 * recipe.width,
            max_position_embeddings=TOKENS,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
        )
    )
    fit(model, [row(tokenizer, word) for word in words], recipe)
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)


def symbols_of(words: list[Word]) -> PreTrainedTokenizerFast:
    """Small letters are letters, capitals up to the next space a phoneme; any other symbol is an error."""
    letters = {letter for word in words for letter in word.word}
    phonemes = {phoneme for word in words for phoneme in word.phonemes.split()}
    vocabulary = [END, *sorted(letters), *sorted(phonemes)]
    tokenizer = Tokenizer(WordLevel({symbol: index for index, symbol in enumerate(vocabulary)}))
    tokenizer.pre_tokenizer = Split(Regex("[a-z]|[A-Z]+"), behavior="removed", invert=True)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END, model_max_length=TOKENS)


def row(tokenizer: PreTrainedTokenizerFast, word: Word) -> tuple[Tensor, Tensor]:
    """Ids of a word, its phonemes and the end, and its labels: the word itself is given, and not learned."""
    asked, answer = (tokenizer(text)["input_ids"] for text in word)
    ids = torch.tensor([*asked, *answer, tokenizer.eos_token_id])
    labels = ids.clone()
    labels[: len(asked)] = IGNORED
    return ids, labels


def fit(model: LlamaForCausalLM, rows: list[tuple[Tensor, Tensor]], recipe: Recipe) -> None:
    """AdamW with a one-cycle schedule, `epochs` times over all rows."""
    steps = recipe.epochs * (len(rows) // recipe.batch_size)
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.learning_rate, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.learning_rate, total_steps=steps, pct_start=0.1)
    model.train()
    every = (batch for _ in range(recipe.epochs) for batch in batches(rows, recipe.batch_size))
    for step, batch in enumerate(every):
        ids = pad_sequence([ids for ids, _ in batch], batch_first=True)  # what stands after the end is not looked at
        labels = pad_sequence([labels for _, labels in batch], batch_first=True, padding_value=IGNORED)
        loss = model(input_ids=ids, labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        if step % 100 == 0:
            print(f"teacher: step {step} of {steps}, loss {float(loss.detach()):.3f}", file=sys.stderr)
    model.eval()


def batches(rows: list[tuple[Tensor, Tensor]], size: int) -> Iterator[list[tuple[Tensor, Tensor]]]:
    """All rows but what does not fill a batch, in a new order; rows of a batch are of like length."""
    order = torch.randperm(len(rows))[: len(rows) // size * size]
    for pool in order.split(ALIKE * size):
        alike = sorted(pool.tolist(), key=lambda index: len(rows[index][0]))
        for batch in torch.tensor(alike).view(-1, size)[torch.randperm(len(alike) // size)].tolist():
            yield [rows[index] for index in batch]
