"""Trains a small ResNet into the teacher: a plain Hugging Face folder with label names and safetensors."""

import json
import sys
from pathlib import Path
from typing import NamedTuple

import torch
import transformers
from garments import GARMENTS, SIDE, Garments
from torch import Tensor
from torch.nn import functional
from transformers import ResNetConfig, ResNetForImageClassification

SEED = 0
MEAN, STD = 0.286, 0.353  # of the training images, from 0 to 1
PROCESSOR = {
    "image_processor_type": "ViTImageProcessor",
    "do_resize": True, "size": {"height": SIDE, "width": SIDE}, "resample": 2,
    "do_rescale": True, "rescale_factor": 1 / 255,
    "do_normalize": True, "image_mean": [MEAN], "image_std": [STD],
}  # fmt: skip
SHIFT = 2  # pixels


class Recipe(NamedTuple):
    """How long and how fast a teacher is trained, and how wide its stages are."""

    epochs: int
    learning_rate: float
    widths: tuple[int, ...] = (48, 96, 192)
    batch_size: int = 64


def train_teacher(garments: Garments, out: Path, recipe: Recipe) -> None:
    """Train from scratch on views as a job's augmentation makes them, and save to `out`."""
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    torch.manual_seed(SEED)
    model = ResNetForImageClassification(
        ResNetConfig(
            num_channels=1, embedding_size=recipe.widths[0], hidden_sizes=list(recipe.widths),
            depths=[1] * len(recipe.widths), layer_type="basic",
            id2label=dict(enumerate(GARMENTS)), label2id={name: index for index, name in enumerate(GARMENTS)},
        )
    )  # fmt: skip
    fit(model, garments, recipe)
    model.save_pretrained(out, safe_serialization=True)
    (out / "preprocessor_config.json").write_text(json.dumps(PROCESSOR, indent=2))


def fit(model: ResNetForImageClassification, garments: Garments, recipe: Recipe) -> None:
    """AdamW with a one-cycle schedule."""
    images, gold = torch.from_numpy(garments.images.copy()), torch.from_numpy(garments.labels.astype("int64"))
    steps = -(-len(gold) // recipe.batch_size)
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.05, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.learning_rate, total_steps=recipe.epochs * steps, pct_start=0.2
    )
    model.train()
    for epoch in range(recipe.epochs):
        total = 0.0
        for picked in torch.randperm(len(gold)).split(recipe.batch_size):
            loss = functional.cross_entropy(model(pixel_values=seen(images[picked])).logits, gold[picked])
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            total += loss.item()
        print(f"teacher: epoch {epoch + 1} of {recipe.epochs}, loss {total / steps:.3f}", file=sys.stderr)
    model.eval()


def seen(images: Tensor) -> Tensor:
    """Normalised images float32 [n, 1, 28, 28] of uint8 [n, 28, 28], each batch moved and perhaps mirrored."""
    batch = (images.float().unsqueeze(1) / 255 - MEAN) / STD
    if torch.rand(()) < 0.5:
        batch = batch.flip(-1)
    down, right = torch.randint(0, 2 * SHIFT + 1, (2,)).tolist()
    padded = functional.pad(batch, (SHIFT,) * 4, value=-MEAN / STD)
    return padded[:, :, down : down + SIDE, right : right + SIDE]
