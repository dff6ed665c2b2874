"""Floating-point operations, label bytes, time and cost of a run. Pure; None is unknown.

A forward pass costs about 2 operations per parameter and token, a training step 6 (Kaplan et al. 2020,
arXiv 2001.08361, section 2.1); a token is about 4 bytes of text.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

FORWARD, TRAINING = 2, 6  # operations per parameter and token
BYTES_A_TOKEN = 4
ROW_KEY, LOGIT = 64, 4  # bytes in a segment before compression
HOUR = 3600


@dataclass(frozen=True)
class Sizes:
    """Rows and bytes of text of what is labelled, of what is tested on, and parameters of the models."""

    learned_rows: int | None
    learned_bytes: int | None
    tested_bytes: int | None
    teacher: int | None
    student: int | None
    missing: float = 1.0  # share of the learned rows that has no soft labels; 1 where nobody looked


@dataclass(frozen=True)
class Work:
    """One stage: its pods at once, GPUs of each, and operations of all pods together."""

    stage: str
    pods: int
    gpus: int
    operations: float | None

    def seconds(self, tera_operations: float | None) -> float | None:
        """With that many 10^12 operations a second on each device; pods without a GPU count as one device."""
        if self.operations == 0:
            return 0.0
        if self.operations is None or tera_operations is None:
            return None
        return self.operations / (tera_operations * 1e12 * self.pods * max(1, self.gpus))

    def cost(self, seconds: float | None, gpu_hour: float | None) -> float | None:
        """In the currency of `gpu_hour`; a stage without GPUs costs nothing of them."""
        if not self.gpus:
            return 0.0
        return None if seconds is None or gpu_hour is None else seconds / HOUR * self.pods * self.gpus * gpu_hour


def stage_work(spec: Mapping[str, Any], sizes: Sizes) -> list[Work]:
    """Every stage of an admitted spec, in order."""
    training = spec["training"]
    runs = 2 if training.get("control") else 1
    learned = product(sizes.learned_bytes, 1 / BYTES_A_TOKEN)
    tested = product(sizes.tested_bytes, 1 / BYTES_A_TOKEN)
    judged = None if None in (sizes.teacher, sizes.student) else (sizes.teacher or 0) + runs * (sizes.student or 0)
    operations = {
        "preflight": 0.0,
        "label": product(FORWARD, sizes.teacher, learned, sizes.missing),
        "train": product(TRAINING, sizes.student, learned, training.get("epochs"), runs),
        "compress": 0.0,
        "evaluate": product(FORWARD, judged, tested),
    }
    return [
        Work(stage, spec["softLabels"]["parallelism"] if stage == "label" else 1, spec["stages"][stage]["gpus"], amount)
        for stage, amount in operations.items()
    ]


def label_bytes(spec: Mapping[str, Any], rows: int | None, outputs: int | None) -> float | None:
    """Bytes of the teachers' dense logits before compression, at most; of a language model unknown before cutting."""
    if spec["task"] == "causal-lm" or outputs is None:
        return None
    asked = sum(teacher["weight"] > 0 for teacher in spec["teachers"])
    return product(rows, asked * (ROW_KEY + LOGIT * outputs))


def product(*factors: float | None) -> float | None:
    """Unknown where a factor is."""
    result = 1.0
    for factor in factors:
        if factor is None:
            return None
        result *= factor
    return result


def total(*amounts: int | None) -> int | None:
    """A sum; unknown where a part is."""
    return None if None in amounts else sum(amount or 0 for amount in amounts)
