"""Per-item results of the models under comparison, checked before anything is computed from them."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import GateInputError


@dataclass(frozen=True, eq=False)
class EvaluationItems:
    """0/1 correctness of each model on the same n held-out items, in the same order.

    Args:
        ids: names of the items, all text or all integers, each once. [n]
        teacher, student: true or 1 where the model is right. [n]
        incumbent: the same for the model that serves now, if there is one. [n]
        control: the same for the student trained without soft labels, if there is one. [n]

    Raises:
        GateInputError: naming the field and the fix. Arrays are copied, turned to bool and made read-only.
    """

    ids: Sequence[str] | Sequence[int]
    teacher: NDArray[np.bool_]
    student: NDArray[np.bool_]
    incumbent: NDArray[np.bool_] | None = None
    control: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        ids = checked_ids(self.ids)
        object.__setattr__(self, "ids", ids)
        for field in ("teacher", "student", "incumbent", "control"):
            given = getattr(self, field)
            if given is None and field in ("incumbent", "control"):
                continue
            object.__setattr__(self, field, checked_results(field, given, n=len(ids)))

    @property
    def n(self) -> int:
        """Number of items."""
        return len(self.ids)


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
    if given is None:
        raise GateInputError(f"{field}: missing; give 1 (right) or 0 (wrong) for each of the {n:,} items")
    try:
        results = np.asarray(given)
    except ValueError as error:
        raise GateInputError(f"{field}: not a flat list; give 1 (right) or 0 (wrong) per item") from error
    if results.ndim != 1:
        raise GateInputError(f"{field}: has {results.ndim} dimensions; give a flat list, one result per item")
    if len(results) != n:
        raise GateInputError(
            f"{field}: has {len(results):,} results for {n:,} ids; evaluate every model on the same items"
        )
    if results.dtype.kind not in "biuf":
        raise GateInputError(
            f"{field}: results are not numbers (numpy {results.dtype}); give 1 (right) or 0 (wrong) per item"
        )
    missing = np.isnan(results)
    if missing.any():
        raise GateInputError(f"{field}: item {first_index(missing)} is NaN; evaluate that item again")
    strange = (results != 0) & (results != 1)
    if strange.any():
        index = first_index(strange)
        raise GateInputError(f"{field}: item {index} is {results[index]}; give 1 (right) or 0 (wrong), not a score")
    checked = results.astype(bool)
    checked.flags.writeable = False
    return checked


def first_index(mask: NDArray[np.bool_]) -> int:
    """Position of the first true entry."""
    return int(np.argmax(mask))
