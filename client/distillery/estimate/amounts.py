"""Floating-point operations, label bytes, time, GPU-seconds and cost of a run. Pure; None is unknown.

A forward pass costs about 2 operations per parameter and token, a training step 6 (Kaplan et al. 2020,
arXiv 2001.08361, section 2.1); a token is about 4 bytes of text.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from distillery_api.robustness import RobustnessGate
from distillery_api.soft_labels import NEW_TOKENS

FORWARD, TRAINING = 2, 6  # operations per parameter and token
BYTES_A_TOKEN = 4
ROW_KEY, LOGIT, STATE = 64, 4, 2  # bytes in a segment before compression
DRAW, TOP = 0.76, 3.3  # bytes of one draw, of one of the top k: the most that docs/soft-labels.md measures
IDS = 50  # draws, or k, where the spec names no number
HOUR = 3600
GPU_TFLOPS = 10.0  # about half of the 19.5 in float32, the worker's precision, on the data sheet of NVIDIA's A100
CPU_TFLOPS = 0.1  # little more than the 0.08 measured on one core of an AMD EPYC with AVX-512
Amount = TypeVar("Amount", int, float)


@dataclass(frozen=True)
class Rates:
    """10^12 operations a second that a GPU sustains, and a pod without one."""

    gpu: float
    cpu: float


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

    def seconds(self, rates: Rates) -> float | None:
        """From its first operation to its last, all its devices at work; starting pods and loading models is more."""
        if self.operations is None:
            return None
        rate = rates.gpu * self.gpus if self.gpus else rates.cpu
        return self.operations / (rate * 1e12 * self.pods)

    def gpu_seconds(self, rates: Rates) -> float | None:
        """GPUs times seconds of their pods; 0 for a stage without any."""
        return product(self.pods * self.gpus, self.seconds(rates)) if self.gpus else 0.0


def stage_work(spec: Mapping[str, Any], sizes: Sizes) -> list[Work]:
    """Every stage of an admitted spec, in order."""
    training = spec["training"]
    runs = 2 if training.get("control") else 1
    learned = total(product(sizes.learned_bytes, 1 / BYTES_A_TOKEN), new_tokens(spec, sizes.learned_rows))
    tested = product(sizes.tested_bytes, 1 / BYTES_A_TOKEN)
    passes = runs + perturbations(spec)
    judged = None if None in (sizes.teacher, sizes.student) else (sizes.teacher or 0) + passes * (sizes.student or 0)
    operations = {
        "preflight": 0.0,
        "label": product(FORWARD, sizes.teacher, learned, sizes.missing),
        "train": product(TRAINING, sizes.student, learned, training.get("epochs"), runs),
        "compress": 0.0,
        "evaluate": product(FORWARD, judged, tested),
    }
    pods = {"label": spec["softLabels"]["parallelism"], "train": training["nodes"]}
    return [
        Work(stage, pods.get(stage, 1), spec["stages"][stage]["gpus"], amount) for stage, amount in operations.items()
    ]


def perturbations(spec: Mapping[str, Any]) -> int:
    """How often the student answers the held-out rows changed."""
    asked = spec["gate"].get("robustness")
    return len(RobustnessGate.model_validate(asked).of(spec["task"])) if asked else 0


def new_tokens(spec: Mapping[str, Any], rows: int | None) -> float | None:
    """Tokens of the answers that a teacher writes, at most; 0 where it writes none."""
    return product(rows, most_tokens(spec["softLabels"])) if spec["softLabels"].get("kind") == "text" else 0.0


def most_tokens(soft_labels: Mapping[str, Any]) -> int:
    """Of one answer that a teacher writes."""
    return int(soft_labels.get("maxNewTokens") or NEW_TOKENS)


def label_bytes(spec: Mapping[str, Any], rows: int | None, outputs: int | None) -> float | None:
    """Bytes of the teachers' dense logits before compression, at most; not of a language model's."""
    if outputs is None:
        return None
    asked = sum(teacher["weight"] > 0 for teacher in spec["teachers"])
    return product(rows, asked * (ROW_KEY + LOGIT * outputs))


def token_label_bytes(
    soft_labels: Mapping[str, Any], text_bytes: int | None, vocabulary: int | None, hidden: int | None
) -> float | None:
    """Bytes of a language model's soft labels for all tokens of a text; of a pair the prompt has none."""
    position = {
        "sampled": DRAW * (soft_labels.get("samples") or IDS),
        "topK": TOP * (soft_labels.get("k") or IDS),
        "hidden": product(STATE, hidden),
        "logits": product(LOGIT, vocabulary),
    }[soft_labels.get("kind") or "sampled"]
    return product(position, text_bytes, 1 / BYTES_A_TOKEN)


def answer_bytes(soft_labels: Mapping[str, Any], rows: int | None) -> float | None:
    """Bytes of the answers that a teacher writes, before compression, at most."""
    return product(rows, ROW_KEY + BYTES_A_TOKEN * most_tokens(soft_labels))


def product(*factors: float | None) -> float | None:
    """Unknown where a factor is."""
    result = 1.0
    for factor in factors:
        if factor is None:
            return None
        result *= factor
    return result


def total(*amounts: Amount | None) -> Amount | None:
    """A sum; unknown where a part is."""
    return None if None in amounts else sum(amount or 0 for amount in amounts)
