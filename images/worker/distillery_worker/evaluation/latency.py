"""Time of one answer: one text, one thread, tokenizing included, in the engine that serves."""

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from distillery_api.artifact import ArtifactManifest
from distillery_engine import TextClassifier
from transformers import PreTrainedModel

from ..artifacts.onnx_export import export_onnx

ITEMS = 200
WARM_UP = 20


def measure(classifier: TextClassifier, texts: Sequence[str]) -> tuple[float, float]:
    """p50 and p99 in milliseconds over the first ITEMS texts."""
    chosen = texts[:ITEMS]
    for text in chosen[:WARM_UP]:
        classifier.logits([text])
    times = []
    for text in chosen:
        start = time.perf_counter()
        classifier.logits([text])
        times.append((time.perf_counter() - start) * 1e3)
    return float(np.percentile(times, 50)), float(np.percentile(times, 99))


def in_engine(model: PreTrainedModel, tokenizer: Path, student: ArtifactManifest, folder: Path) -> TextClassifier:
    """Another model as ONNX in a scratch folder, to be timed as the student is: same engine and limits, one thread."""
    export_onnx(model, folder / student.model)
    (folder / student.preprocessing.tokenizer).write_bytes(tokenizer.read_bytes())
    return TextClassifier(folder, student, threads=1)
