"""What an answer is: its numbers, its gold values, its loss, and how it is judged."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from distillery_api.distillationjob import GateSpec, Objective
from distillery_gate import Gate, GateError, Items, Verdict, decide
from numpy.typing import NDArray
from torch import Tensor

from ..errors import InputRefused

Answer = str | float


class Head(ABC):
    """The last layer of teacher and student, and everything that depends on what it says."""

    labels: tuple[str, ...]  # names of the outputs; empty where an output has no name
    outputs: int  # numbers that a model answers a row with
    without_gold: Tensor  # the gold value of a row that has none, a scalar

    @abstractmethod
    def gold(self, values: list[Any], field: str, column: str) -> NDArray[Any]:
        """Gold values [rows] of a column. Raises InputRefused naming the first row that has none."""

    @abstractmethod
    def strata(self, gold: NDArray[Any]) -> NDArray[np.int64]:
        """Kinds of gold values [rows], each of which gives its share of the validation rows."""

    @abstractmethod
    def has_gold(self, gold: Tensor) -> Tensor:
        """Which rows have a gold value: bool [rows]."""

    @abstractmethod
    def resolved(self, objective: Objective) -> Objective:
        """The objective with its defaults: part of the student's key."""

    @abstractmethod
    def loss(self, student: Tensor, teacher: Tensor, gold: Tensor, objective: Objective) -> Tensor:
        """The resolved objective on a batch. student, teacher: [rows, outputs]; gold: [rows]"""

    @abstractmethod
    def score(self, outputs: NDArray[np.float32], gold: NDArray[Any]) -> float:
        """How good outputs [rows, outputs] are on rows with gold [rows]; higher is better."""

    @abstractmethod
    def answers(self, outputs: NDArray[np.float32]) -> list[Answer]:
        """What a caller would be told, by row."""

    @abstractmethod
    def gold_answers(self, gold: NDArray[Any]) -> list[Answer]:
        """The gold values as answers."""

    @abstractmethod
    def judge(self, gold: Sequence[Any], answers: Mapping[str, Sequence[Any]], gate: GateSpec) -> Verdict:
        """The gate's decision on the models' answers, by name. Raises InputRefused (GateInput)."""


def decided(items: Items, spec: GateSpec) -> Verdict:
    """The gate's decision. Raises InputRefused (GateInput)."""
    try:
        return decide(items, Gate(min_retention=spec.min_retention, incumbent_margin=spec.incumbent_margin))
    except GateError as error:
        raise InputRefused("GateInput", str(error)) from error
