"""One of several labels: logits by label, cross-entropy and KL, judged by accuracy."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from distillery_api.objective import Objective
from distillery_gate import EvaluationItems
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ..data.files import listed
from ..errors import InputRefused
from ..losses.divergence import divergence
from ..losses.objective import NO_GOLD, RowLosses
from .agreement import check_agreement, check_guess
from .head import Answer, RowHead

TEMPERATURE = 2.0
NO_ANSWER = ""


class Classification(RowHead):
    """Outputs are logits, one a label; gold values are label ids."""

    metric = EvaluationItems.metric
    without_gold = torch.tensor(NO_GOLD)

    def __init__(self, labels: Iterable[str]) -> None:
        self.labels = tuple(labels)
        self.outputs = len(self.labels)

    def resolved(self, objective: Objective) -> Objective:
        """With a temperature."""
        return objective.model_copy(update={"temperature": objective.temperature or TEMPERATURE})

    def gold(self, values: list[Any], field: str, column: str) -> NDArray[Any]:
        """Label ids by name; whole numbers are read as names. Raises InputRefused (UnknownLabel)."""
        index = {label: number for number, label in enumerate(self.labels)}
        names = [str(value) if isinstance(value, int) else value for value in values]
        for number, name in enumerate(names, 1):
            if name not in index:
                raise InputRefused(
                    "UnknownLabel",
                    f"dataset.{field}: row {number} has label {name!r} in column '{column}', which the teacher does"
                    f" not know; it knows {listed(self.labels)}: correct the row, or id2label in the teacher's"
                    " config.json",
                )
        return np.array([index[name] for name in names], dtype=np.int64)

    def strata(self, gold: NDArray[Any]) -> NDArray[np.int64]:
        """The labels."""
        return gold

    def has_gold(self, gold: Tensor) -> Tensor:
        """Which rows have a label: bool [rows]."""
        return gold != NO_GOLD

    def losses(self, student: Tensor, teacher: Tensor, gold: Tensor, objective: Objective) -> RowLosses:
        """The divergence from the teacher and the cross-entropy to the label."""
        soft = divergence(student, teacher, objective.temperature or TEMPERATURE, objective.divergence)
        return RowLosses(soft, functional.cross_entropy(student, gold, ignore_index=NO_GOLD, reduction="none"))

    def mistaken(self, teacher: Tensor, gold: Tensor) -> Tensor:
        """Rows whose label is not the teacher's likeliest."""
        return self.has_gold(gold) & (teacher.argmax(dim=-1) != gold)

    def score(self, outputs: NDArray[np.float32], gold: NDArray[Any]) -> float:
        """Accuracy."""
        return float((outputs.argmax(axis=1) == gold).mean())

    def check_answers(self, outputs: NDArray[np.float32], gold: NDArray[Any], file: str = "train") -> None:
        """By how often the likeliest label is the gold one."""
        check_agreement(gold, outputs.argmax(axis=1), self.labels, file)

    def check_start(self, divergence: float, outputs: NDArray[np.float32]) -> None:
        """By what guessing among the labels comes to."""
        check_guess(divergence, self.outputs)

    def answers(self, outputs: NDArray[np.float32]) -> list[Answer]:
        """Names of the likeliest labels; where an output is NaN none is, and the answer is never right."""
        names = [self.labels[index] for index in outputs.argmax(axis=1)]
        for row in np.flatnonzero(np.isnan(outputs).any(axis=1)):
            names[row] = NO_ANSWER
        return list(names)

    def confidences(self, outputs: NDArray[np.float32]) -> list[float]:
        """By softmax; 0 where there is no answer."""
        shifted = np.exp(outputs.astype(np.float64) - outputs.max(axis=1, keepdims=True))
        found: list[float] = np.nan_to_num(1 / shifted.sum(axis=1)).tolist()
        return found

    def gold_answers(self, gold: NDArray[Any]) -> list[Answer]:
        """Label names."""
        return [self.labels[index] for index in gold]


def read_classification(config: dict[str, Any], uri: str) -> Classification:
    """The head that a teacher's config.json describes. Raises InputRefused (ModelUnsupported)."""
    return Classification(label_names(config, uri))


def label_names(config: dict[str, Any], uri: str) -> tuple[str, ...]:
    """Label names in the order of their ids."""
    by_id = {int(number): str(name) for number, name in (config.get("id2label") or {}).items()}
    names = tuple(by_id.get(number, "") for number in range(len(by_id)))
    if len(names) < 2 or "" in names or len(set(names)) < len(names):
        raise InputRefused(
            "ModelUnsupported",
            f"teachers[0].model: id2label in {uri}/config.json must name at least two different labels, ids from 0 up",
        )
    return names
