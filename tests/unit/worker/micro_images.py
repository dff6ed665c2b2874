"""An image task that is small enough for unit tests: which way do the stripes run, or is it a checkerboard."""

import io
import json
from pathlib import Path
from typing import Any

import micro
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from distillery_api.artifact import ImagePreprocessing
from distillery_engine import ImageEncoder
from numpy.typing import NDArray
from PIL import Image
from transformers import ResNetConfig, ResNetForImageClassification

PATTERNS = ["across", "checks", "down"]
SIDE = 12
STUDENT = {"imageConfig": {"channels": [8, 16]}}
TRAINING = {"epochs": 8, "batchSize": 16, "learningRate": 0.01, "checkpointEverySteps": 5}
VIEWS = {"views": 2, "augmentation": {"shift": 2, "horizontalFlip": True}}
PROCESSOR = {
    "image_processor_type": "ViTImageProcessor", "do_resize": True, "size": {"height": SIDE, "width": SIDE},
    "resample": 2, "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True,
    "image_mean": [0.5], "image_std": [0.25],
}  # fmt: skip


def png(pixels: NDArray[np.uint8]) -> bytes:
    """An encoded image of [height, width] or [height, width, channels]."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def images(count: int) -> list[tuple[bytes, str]]:
    """Noisy patterns with their labels, in a fixed order."""
    random = np.random.default_rng(0)
    down, right = np.mgrid[:SIDE, :SIDE] // 3 % 2
    patterns = {"across": down, "checks": down ^ right, "down": right}
    rows = []
    for number in range(count):
        label = PATTERNS[number % 3]
        pixels = 60 + 120 * patterns[label] + random.integers(-50, 51, (SIDE, SIDE))
        rows.append((png(pixels.astype(np.uint8)), label))
    return rows


def write_data(folder: Path) -> None:
    """30 labelled, 60 unlabelled and 150 held-out images; unlabelled ones as Hugging Face's datasets write them."""
    rows = images(240)
    write_rows(folder / "train.parquet", rows[:30])
    cells = [{"bytes": image, "path": None} for image, _ in rows[30:90]]
    pq.write_table(pa.table({"image": cells}), folder / "unlabelled.parquet")
    write_rows(folder / "test.parquet", rows[90:])


def write_rows(path: Path, rows: list[tuple[bytes, str]]) -> None:
    """A Parquet file with image and label."""
    pq.write_table(pa.table({"image": [image for image, _ in rows], "label": [label for _, label in rows]}), path)


def write_teacher(folder: Path) -> None:
    """A ResNet of one stage, trained until it knows the patterns."""
    folder.mkdir(parents=True)
    (folder / "preprocessor_config.json").write_text(json.dumps(PROCESSOR))
    torch.manual_seed(0)
    model = ResNetForImageClassification(
        ResNetConfig(
            num_channels=1, embedding_size=8, hidden_sizes=[16], depths=[1], layer_type="basic",
            id2label=dict(enumerate(PATTERNS)), label2id={name: index for index, name in enumerate(PATTERNS)},
        )
    )  # fmt: skip
    rows = images(90)
    pixels = torch.from_numpy(ImageEncoder(preprocessing()).batch([image for image, _ in rows]).pixel_values)
    gold = torch.tensor([PATTERNS.index(label) for _, label in rows])
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    for _ in range(25):
        torch.autograd.backward(model(pixel_values=pixels, labels=gold).loss)
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(folder)


def preprocessing() -> ImagePreprocessing:
    """What PROCESSOR says."""
    return ImagePreprocessing(
        height=SIDE, width=SIDE, resample="bilinear", channels=1, scale=1 / 255, mean=[0.5], std=[0.25]
    )


def make_run(stage: str, source: Path, storage: Path, **fields: Any) -> Any:
    """run.json of a stage of the image task, parsed."""
    recipe = {"student": STUDENT, "training": TRAINING} if stage in ("preflight", "train") else {}
    return micro.make_run(stage, source, storage, **{"task": "image-classification"} | recipe | fields)
