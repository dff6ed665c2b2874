"""Per-item results of the models under comparison, checked before anything is computed from them."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .clusters import by_cluster, checked_clusters
from .errors import GateInputError
from .intervals import Interval
from .pairs import AnswersPair, ErrorsPair, Pair
from .proportion import accuracy_interval
from .sums import mean_of_units_interval

OPTIONAL = ("incumbent", "control")


class Items(ABC):
    """What n held-out items say of teacher, student and, if given, incumbent and control. Arrays: [n]."""

    metric: ClassVar[str]
    ids: Sequence[str] | Sequence[int]
    teacher: NDArray[Any]
    student: NDArray[Any]
    incumbent: NDArray[Any] | None
    control: NDArray[Any] | None
    clusters: NDArray[np.intp] | None = None

    @property
    def n(self) -> int:
        """Number of items."""
        return len(self.ids)

    @property
    def cluster_count(self) -> int | None:
        """Number of clusters, where items come in any."""
        return None if self.clusters is None else int(self.clusters.max()) + 1

    @abstractmethod
    def pair(self, reference: NDArray[Any]) -> Pair:
        """The student against another model."""

    @abstractmethod
    def measure(self, results: NDArray[Any], level: float) -> tuple[float, Interval]:
        """One model's value of the metric, and its interval."""

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

    def __post_init__(self) -> None:
        check_all(self, checked_results)

    def pair(self, reference: NDArray[Any]) -> Pair:
        """By the 2x2 table of who is right where."""
        return AnswersPair(self.student, reference, self.clusters)

    def measure(self, results: NDArray[Any], level: float) -> tuple[float, Interval]:
        """Accuracy and Wilson's interval."""
        return float(results.mean()), accuracy_interval(results, self.clusters, level)

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
        incumbent, control, clusters: as for EvaluationItems. [n]

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

    def __post_init__(self) -> None:
        check_all(self, checked_errors)
        if self.n < 2:
            raise GateInputError("ids: one item says nothing about the spread of errors; evaluate at least two")

    def pair(self, reference: NDArray[Any]) -> Pair:
        """By paired errors."""
        return ErrorsPair(self.student, reference, self.clusters)

    def measure(self, results: NDArray[Any], level: float) -> tuple[float, Interval]:
        """Mean error and Student's interval."""
        totals, sizes = by_cluster(results, self.clusters), by_cluster(np.ones(self.n), self.clusters)
        return float(results.mean()), mean_of_units_interval(totals, sizes, level)

    def kept(self, ratio: str) -> str:
        """As a share of the student's error."""
        return f"The teacher's mean absolute error is {ratio} of the student's"

    def gain(self, other: str) -> str:
        """In the unit of the scores."""
        return f"The {other}'s mean absolute error minus the student's"


Check = Callable[..., NDArray[Any]]  # field, results, n


def check_all(items: Items, check: Check) -> None:
    """Replace every field of frozen items by its checked value. Raises GateInputError."""
    ids = checked_ids(items.ids)
    object.__setattr__(items, "ids", ids)
    for field in ("teacher", "student", *OPTIONAL):
        given = getattr(items, field)
        if given is None and field in OPTIONAL:
            continue
        object.__setattr__(items, field, check(field, given, n=len(ids)))
    object.__setattr__(items, "clusters", checked_clusters(items.clusters, n=len(ids)))


def checked_ids(ids: Any) -> tuple[str, ...] | tuple[int, ...]:
    """The ids as a tuple, or GateInputError when there is none, one is no name, or one comes twice."""
    if isinstance(ids, str) or not isinstance(ids, Iterable):
        raise GateInputError("ids: not a list; give one text or integer id per item")
    listed = tuple(ids.tolist()) if isinstance(ids, np.ndarray) else tuple(ids)
    if not listed:
        raise GateInputError("ids: there are no items; evaluate the models on at least one held-out item")
    kinds = {type(item) for item in listed}
    if kinds not in ({str}, {int}):
        names = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise GateInputError(f"ids: must be all text or all integers, found {names}; give one per item")
    if len(set(listed)) < len(listed):
        [(repeated, times)] = Counter(listed).most_common(1)
        raise GateInputError(f"ids: {repeated!r} stands {times} times; give each item once")
    return listed


def checked_results(field: str, given: ArrayLike | None, *, n: int) -> NDArray[np.bool_]:
    """The results as a read-only bool array of length n, or GateInputError."""
    results = checked_numbers(field, given, n=n, wanted="1 (right) or 0 (wrong)")
    strange = (results != 0) & (results != 1)
    if strange.any():
        index = first_index(strange)
        raise GateInputError(f"{field}: item {index} is {results[index]}; give 1 (right) or 0 (wrong), not a score")
    return read_only(results.astype(bool))


def checked_errors(field: str, given: ArrayLike | None, *, n: int) -> NDArray[np.float64]:
    """The errors as a read-only float64 array of length n, or GateInputError."""
    results = checked_numbers(field, given, n=n, wanted="the absolute error")
    strange = ~np.isfinite(results) | (results < 0)
    if strange.any():
        index = first_index(strange)
        raise GateInputError(
            f"{field}: item {index} is {results[index]}; give |answer - gold|, finite and not negative"
        )
    return read_only(results.astype(np.float64))


def checked_numbers(field: str, given: ArrayLike | None, *, n: int, wanted: str) -> NDArray[Any]:
    """The results as an array [n] of numbers without NaN, or GateInputError."""
    if given is None:
        raise GateInputError(f"{field}: missing; give {wanted} for each of the {n:,} items")
    try:
        results = np.asarray(given)
    except ValueError as error:
        raise GateInputError(f"{field}: not a flat list; give {wanted} per item") from error
    if results.ndim != 1:
        raise GateInputError(f"{field}: has {results.ndim} dimensions; give a flat list, one result per item")
    if len(results) != n:
        raise GateInputError(
            f"{field}: has {len(results):,} results for {n:,} ids; evaluate every model on the same items"
        )
    if results.dtype.kind not in "biuf":
        raise GateInputError(f"{field}: results are not numbers (numpy {results.dtype}); give {wanted} per item")
    missing = np.isnan(results)
    if missing.any():
        raise GateInputError(f"{field}: item {first_index(missing)} is NaN; evaluate that item again")
    return results


def read_only(results: NDArray[Any]) -> NDArray[Any]:
    """The array, closed to changes."""
    results.flags.writeable = False
    return results


def first_index(mask: NDArray[np.bool_]) -> int:
    """Position of the first true entry."""
    return int(np.argmax(mask))
