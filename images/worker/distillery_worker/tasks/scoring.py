"""A score: one number a row, squared errors, judged by the mean absolute error."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from distillery_api.objective import Objective
from distillery_gate import ErrorItems
from numpy.typing import NDArray
from torch import Tensor

from ..data.files import Rows
from ..errors import InputRefused
from ..losses.objective import RowLosses
from .agreement import FEWEST
from .head import Answer, RowHead

FURTHEST = 1000.0  # variances of the teacher's scores: 30 standard deviations


class Scoring(RowHead):
    """One output without a name; gold values are float32, NaN where there is none."""

    labels = ()
    outputs = 1
    metric = ErrorItems.metric
    without_gold = torch.tensor(math.nan)

    def gold(self, values: list[Any], field: str, column: str) -> NDArray[Any]:
        """Scores. Raises InputRefused (InvalidScore)."""
        scores = np.array([number(value) for value in values], dtype=np.float32)
        strange = ~np.isfinite(scores)
        if strange.any():
            row = int(np.argmax(strange))
            raise InputRefused(
                "InvalidScore",
                f"dataset.{field}: row {row + 1} has {values[row]!r} in column '{column}', which is no finite number;"
                " correct or remove the row",
            )
        return scores

    def strata(self, gold: NDArray[Any]) -> NDArray[np.int64]:
        """Tenths of the scores, from the lowest to the highest."""
        return np.searchsorted(np.quantile(gold, np.arange(0.1, 0.95, 0.1)), gold)

    def has_gold(self, gold: Tensor) -> Tensor:
        """Which rows have a score: bool [rows]."""
        return ~torch.isnan(gold)

    def resolved(self, objective: Objective) -> Objective:
        """There is nothing to add."""
        return objective

    def losses(self, student: Tensor, teacher: Tensor, gold: Tensor, objective: Objective) -> RowLosses:
        """Squared errors to the teacher's score and to the gold score."""
        score = student.squeeze(-1)
        return RowLosses((score - teacher.squeeze(-1)) ** 2, (score - gold.nan_to_num()) ** 2)

    def mistaken(self, teacher: Tensor, gold: Tensor) -> Tensor:
        """None: a score is not right or wrong."""
        return torch.zeros(len(gold), dtype=torch.bool)

    def score(self, outputs: NDArray[np.float32], gold: NDArray[Any]) -> float:
        """The mean absolute error, negated."""
        return -float(np.abs(outputs[:, 0] - gold).mean())

    def check_answers(self, outputs: NDArray[np.float32], gold: NDArray[Any], file: str = "train") -> None:
        """By the correlation of the scores, where both differ from row to row."""
        scores = outputs[:, 0].astype(np.float64)
        if len(gold) < FEWEST or not np.ptp(scores) or not np.ptp(gold):
            return
        correlation = float(np.corrcoef(scores, gold.astype(np.float64))[0, 1])
        if not correlation > 0:
            raise InputRefused(
                "TeacherUnfit",
                f"teachers: the scores of {len(gold)} rows of dataset.{file} have a correlation of {correlation:.2f}"
                " with the gold scores; check that higher means the same for both, or use another teacher",
            )

    def check_start(self, divergence: float, outputs: NDArray[np.float32]) -> None:
        """By the variance of the teacher's scores: one without any teaches nothing, which is found otherwise."""
        variance = float(outputs.var(dtype=np.float64))
        if not divergence <= (FURTHEST * variance or math.inf):  # NaN too
            raise InputRefused(
                "StudentUnfit",
                f"student: begins at a mean squared difference of {divergence:.4g} from the teacher's scores, whose"
                f" variance is {variance:.4g}; centre and scale the scores of teacher and rows, or begin from"
                " student.config",
            )

    def answers(self, outputs: NDArray[np.float32]) -> list[Answer]:
        """The scores."""
        return [float(score) for score in outputs[:, 0]]

    def gold_answers(self, gold: NDArray[Any]) -> list[Answer]:
        """The gold scores."""
        return [float(score) for score in gold]

    def items(self, rows: Rows) -> list[str]:
        """Groups, queries or rows: texts of one query are alike in what they are scored against."""
        return rows.groups or queries(rows) or rows.keys

    def truths(self, rows: Rows) -> dict[str, list[Answer]]:
        """The gold scores, and the queries of rows that have one."""
        asked: list[Answer] = list(queries(rows))
        return super().truths(rows) | ({"query": asked} if asked else {})


def queries(rows: Rows) -> list[str]:
    """The query of each row; empty where rows have none."""
    return [row[0] for row in rows.inputs if isinstance(row, tuple)]


def number(value: Any) -> float:
    """A number, or the number that a text of a CSV file holds; NaN for anything else."""
    if isinstance(value, bool):
        return math.nan
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def read_scoring(config: dict[str, Any], uri: str) -> Scoring:
    """The head that a teacher's config.json describes. Raises InputRefused (ModelUnsupported)."""
    outputs = len(config["id2label"]) if config.get("id2label") else config.get("num_labels")
    if outputs != 1:
        raise InputRefused(
            "ModelUnsupported",
            f"teachers[0].model: {uri}/config.json describes {outputs or 2} outputs; text-scoring wants a model for"
            " sequence classification with one (num_labels: 1)",
        )
    return Scoring()


def head_of(labels: Sequence[str]) -> Scoring:
    """The head of a scoring artifact, which names no labels."""
    return Scoring()
