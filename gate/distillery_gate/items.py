"""Per-item results of the models under comparison."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, ClassVar, Self, cast

import numpy as np
from numpy.typing import NDArray

from . import paired_means
from .checks import check_all, checked_confidence, checked_errors, checked_results
from .clusters import Totals, by_cluster
from .errors import GateInputError
from .intervals import Interval
from .pairs import AnswersPair, ErrorsPair, Pair
from .proportion import share_interval, share_items_needed
from .sums import jackknife, many_items, mean_of_units_interval


class Items(ABC):
    """What n held-out items say of teacher, student and, if given, incumbent and control. Arrays: [n]."""

    metric: ClassVar[str]
    ids: Sequence[str] | Sequence[int]
    teacher: NDArray[Any]
    student: NDArray[Any]
    incumbent: NDArray[Any] | None
    control: NDArray[Any] | None
    clusters: NDArray[np.intp] | None
    slices: NDArray[np.str_] | None
    contaminated: NDArray[np.bool_] | None

    @property
    def n(self) -> int:
        """Number of items."""
        return len(self.ids)

    @property
    def cluster_count(self) -> int | None:
        """Number of clusters, where items come in any."""
        return None if self.clusters is None else int(self.clusters.max()) + 1

    def take(self, chosen: NDArray[np.intp]) -> Self:
        """The items at these places alone. Raises GateInputError where they show nothing by themselves."""
        changes: dict[str, Any] = {}
        for name, value in vars(self).items():
            if isinstance(value, np.ndarray):
                changes[name] = value[chosen]
            elif isinstance(value, Mapping):
                changes[name] = {model: each[chosen] for model, each in value.items()}
        part: Self = replace(cast(Any, self), ids=[self.ids[place] for place in chosen], **changes)
        return part

    def by_slice(self) -> Iterator[tuple[str, NDArray[np.intp]]]:
        """Each slice with the places of its items, by name. Raises GateInputError where there are no slices."""
        if self.slices is None:
            raise GateInputError("slices: missing; name the slice of each item, or ask for none")
        names, numbers = np.unique(self.slices, return_inverse=True)
        ends = np.cumsum(np.bincount(numbers))[:-1]
        yield from zip(names.tolist(), np.split(np.argsort(numbers, kind="stable"), ends), strict=True)

    @abstractmethod
    def pair(self, reference: NDArray[Any]) -> Pair:
        """The student against another model."""

    @abstractmethod
    def measure(self, results: NDArray[Any], level: float) -> tuple[float, Interval]:
        """One model's value of the metric, and its interval."""

    @abstractmethod
    def items_needed(self, threshold: float, level: float) -> int | None:
        """Items that show the student's value beyond a threshold, on the better side, with 80 % power."""

    def under(self, metric: str) -> "Items | None":
        """The same items, measured by this metric; None where they have no such results."""
        return self if metric == self.metric else None

    @abstractmethod
    def kept(self, ratio: str) -> str:
        """The words for a ratio to the teacher."""

    @abstractmethod
    def gain(self, other: str) -> str:
        """The words for a difference to another model."""


@dataclass(frozen=True, eq=False)
class EvaluationItems(Items):
    """0/1 correctness of each model on the same n held-out items, in the same order.

    Args:
        ids: names of the items, all text or all integers, each once. [n]
        teacher, student: true or 1 where the model is right. [n]
        incumbent: the same for the model that serves now, if there is one. [n]
        control: the same for the student trained without soft labels, if there is one. [n]
        clusters: names of what items belong to, such as their document, all text or all integers, if they are not
            independent of each other; becomes the number of each item's cluster. [n]
        slices: names of the part of the data that each item stands for, such as its language, all text. [n]
        contaminated: true where the item stands in what the student learned from. [n]
        student_copies, control_copies: true where the model gives the same wrong answer as the teacher. [n]
        confidences: by model, the probability that it gives its answer. [n] each
        perturbed: by perturbation, true where the student is right on the item that is changed so. [n] each

    Raises:
        GateInputError: naming the field and the fix. Arrays are copied, turned to bool and made read-only.
    """

    metric: ClassVar[str] = "accuracy"
    ids: Sequence[str] | Sequence[int]
    teacher: NDArray[np.bool_]
    student: NDArray[np.bool_]
    incumbent: NDArray[np.bool_] | None = None
    control: NDArray[np.bool_] | None = None
    clusters: Any = None
    slices: Any = None
    contaminated: Any = None
    student_copies: NDArray[np.bool_] | None = None
    control_copies: NDArray[np.bool_] | None = None
    confidences: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    perturbed: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_all(self, checked_results)
        checked = {
            name: checked_confidence(f"{name}_confidence", each, n=self.n) for name, each in self.confidences.items()
        }
        object.__setattr__(self, "confidences", MappingProxyType(checked))
        right = {name: checked_results(f"student_{name}", each, n=self.n) for name, each in self.perturbed.items()}
        object.__setattr__(self, "perturbed", MappingProxyType(right))
        for name in ("student_copies", "control_copies"):
            if (given := getattr(self, name)) is not None:
                object.__setattr__(self, name, checked_results(name, given, n=self.n))

    def pair(self, reference: NDArray[Any]) -> Pair:
        """By the 2x2 table of who is right where."""
        return AnswersPair(self.student, reference, self.clusters)

    def measure(self, results: NDArray[Any], level: float) -> tuple[float, Interval]:
        """Accuracy and its interval."""
        return float(results.mean()), share_interval(results, self.clusters, level)

    def items_needed(self, threshold: float, level: float) -> int | None:
        """By the score test of one share."""
        return share_items_needed(self.student, self.clusters, threshold, level, above=True)

    def kept(self, ratio: str) -> str:
        """As a share of the teacher's accuracy."""
        return f"The student keeps {ratio} of the teacher's accuracy"

    def gain(self, other: str) -> str:
        """As points of accuracy."""
        return f"The student's accuracy minus the {other}'s"


@dataclass(frozen=True, eq=False)
class ErrorItems(Items):
    """Absolute errors of each model on the same n held-out items, in the same order; smaller is better.

    Args:
        ids: names of the items, all text or all integers, each once. [n], n >= 2
        teacher, student: |answer - gold|, finite and not negative. [n]
        incumbent, control, clusters, slices, contaminated: as for EvaluationItems. [n]

    Raises:
        GateInputError: naming the field and the fix. Arrays are copied, turned to float64 and made read-only.
    """

    metric: ClassVar[str] = "mean absolute error"
    ids: Sequence[str] | Sequence[int]
    teacher: NDArray[np.float64]
    student: NDArray[np.float64]
    incumbent: NDArray[np.float64] | None = None
    control: NDArray[np.float64] | None = None
    clusters: Any = None
    slices: Any = None
    contaminated: Any = None

    def __post_init__(self) -> None:
        check_all(self, checked_errors)
        if self.n < 2:
            raise GateInputError("ids: one item says nothing about the spread of errors; evaluate at least two")

    def pair(self, reference: NDArray[Any]) -> Pair:
        """By paired errors."""
        return ErrorsPair(self.student, reference, self.clusters)

    def measure(self, results: NDArray[Any], level: float) -> tuple[float, Interval]:
        """Mean error and Student's interval."""
        return float(results.mean()), mean_of_units_interval(*self._sums(results), level)

    def items_needed(self, threshold: float, level: float) -> int | None:
        """By the t statistic."""
        totals, sizes = self._sums(self.student)
        return many_items(paired_means.items_needed(threshold - jackknife(totals, sizes), level), sizes)

    def _sums(self, results: NDArray[Any]) -> tuple[Totals, Totals]:
        """Sums and sizes by cluster."""
        return by_cluster(results, self.clusters), by_cluster(np.ones(self.n), self.clusters)

    def kept(self, ratio: str) -> str:
        """As a share of the student's error."""
        return f"The teacher's mean absolute error is {ratio} of the student's"

    def gain(self, other: str) -> str:
        """In the unit of the scores."""
        return f"The {other}'s mean absolute error minus the student's"
