"""What is given of items, checked before anything is computed from it."""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .clusters import checked_clusters
from .errors import GateInputError

OPTIONAL = ("incumbent", "control")
Check = Callable[..., NDArray[Any]]  # field, results, n


def check_all(items: Any, check: Check) -> None:
    """Replace every field of frozen items by its checked value. Raises GateInputError."""
    ids = checked_ids(items.ids)
    object.__setattr__(items, "ids", ids)
    for field in ("teacher", "student", *OPTIONAL):
        given = getattr(items, field)
        if given is None and field in OPTIONAL:
            continue
        object.__setattr__(items, field, check(field, given, n=len(ids)))
    object.__setattr__(items, "clusters", checked_clusters(items.clusters, n=len(ids)))
    object.__setattr__(items, "slices", checked_slices(items.slices, n=len(ids)))
    if items.contaminated is not None:
        object.__setattr__(items, "contaminated", checked_results("contaminated", items.contaminated, n=len(ids)))


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


def checked_confidence(field: str, given: ArrayLike | None, *, n: int) -> NDArray[np.float64]:
    """The confidences as a read-only float64 array of length n, or GateInputError."""
    found = checked_numbers(field, given, n=n, wanted="the probability of the answer")
    strange = ~((found >= 0) & (found <= 1))
    if strange.any():
        index = first_index(strange)
        raise GateInputError(f"{field}: item {index} is {found[index]}; give a probability, from 0 to 1")
    return read_only(found.astype(np.float64))


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


def checked_slices(given: Any, *, n: int) -> NDArray[np.str_] | None:
    """The slice of each item as a read-only array of text, [n]. Raises GateInputError."""
    if given is None:
        return None
    names = list(given)
    if len(names) != n:
        raise GateInputError(f"slices: has {len(names):,} names for {n:,} ids; name the slice of each item")
    strange = next((place for place, name in enumerate(names) if not (isinstance(name, str) and name)), None)
    if strange is not None:
        raise GateInputError(f"slices: item {strange} has {names[strange]!r}; give a text that names its slice")
    return read_only(np.array(names, dtype=np.str_))
