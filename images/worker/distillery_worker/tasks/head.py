"""What an answer is: how it is judged, and for rows with one answer its gold values and its loss."""

from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from typing import Any, ClassVar

import numpy as np
from distillery_api.objective import Objective
from numpy.typing import NDArray
from torch import Tensor

from ..data.files import Rows
from ..data.splits import validation_rows
from ..losses.objective import RowLosses

Answer = str | float


class Head(ABC):
    """The last layer of teacher and student, and everything that depends on what it says."""

    labels: tuple[str, ...]  # names of the outputs; empty where an output has no name
    outputs: int  # numbers that a model answers a row with
    metric: ClassVar[str]  # what the gate judges its answers by, see distillery_gate.items_of

    @abstractmethod
    def resolved(self, objective: Objective) -> Objective:
        """The objective with its defaults."""

    def items(self, rows: Rows) -> list[str]:
        """What each row belongs to in the verdict, its group or itself: rows of one name are not independent."""
        return rows.groups or rows.keys

    @abstractmethod
    def judged(self, rows: Rows) -> Sequence[Hashable]:
        """What each row is a part of that counts as one in the verdict."""

    @abstractmethod
    def validation(self, rows: Rows, seed: int) -> NDArray[np.bool_]:
        """Which rows only choose the checkpoint: bool [rows]. Raises InputRefused (EmptyTrainSet)."""

    @abstractmethod
    def answers(self, outputs: NDArray[np.float32]) -> list[Answer]:
        """What a caller would be told, by row."""

    def confidences(self, outputs: NDArray[np.float32]) -> list[float] | None:
        """The probability of each of `answers`, by row; None where answers have none."""
        return None

    @abstractmethod
    def truths(self, rows: Rows) -> dict[str, list[Answer]]:
        """What answers to held-out rows are judged by: columns of the items' file."""


class RowHead(Head):
    """A head whose rows have one gold value each, or none."""

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
    def losses(self, student: Tensor, teacher: Tensor, gold: Tensor, objective: Objective) -> RowLosses:
        """Both terms of the objective, by row. student, teacher: [rows, outputs]; gold: [rows]"""

    @abstractmethod
    def mistaken(self, teacher: Tensor, gold: Tensor) -> Tensor:
        """Which rows the teacher answers otherwise than their gold value: bool [rows]."""

    @abstractmethod
    def score(self, outputs: NDArray[np.float32], gold: NDArray[Any]) -> float:
        """How good outputs [rows, outputs] are on rows with gold [rows]; higher is better."""

    @abstractmethod
    def check_answers(self, outputs: NDArray[np.float32], gold: NDArray[Any], file: str = "train") -> None:
        """Refuse a teacher whose outputs [rows, outputs] agree with gold [rows] no better than by chance.

        file: of the dataset that the rows are from. Raises InputRefused (TeacherUnfit). A few rows show nothing, and
        are not judged.
        """

    @abstractmethod
    def check_start(self, divergence: float, outputs: NDArray[np.float32]) -> None:
        """Refuse a student whose first outputs are absurdly far from the teacher's [rows, outputs].

        divergence: mean of `losses`' soft term at temperature 1. Raises InputRefused (StudentUnfit).
        """

    @abstractmethod
    def gold_answers(self, gold: NDArray[Any]) -> list[Answer]:
        """The gold values as answers."""

    def judged(self, rows: Rows) -> Sequence[Hashable]:
        """Each counts by itself."""
        return range(len(rows))

    def validation(self, rows: Rows, seed: int) -> NDArray[np.bool_]:
        """A tenth of each kind of gold values, in whole groups."""
        assert rows.gold is not None  # noqa: S101 - read with its head
        return validation_rows(rows.keys, self.strata(rows.gold).tolist(), rows.groups, seed)

    def truths(self, rows: Rows) -> dict[str, list[Answer]]:
        """The gold values."""
        assert rows.gold is not None  # noqa: S101 - read with its head
        return {"gold": self.gold_answers(rows.gold)}
