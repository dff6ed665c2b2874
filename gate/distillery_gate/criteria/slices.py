"""The worst slice: what an average over all items hides.

Every slice must pass at the level of the gate: then a student one of whose slices is at the threshold passes at most at
that level, however many slices there are (intersection-union test: Berger 1982, Technometrics 24, 295-300). It fails
only where one is shown to be below at level / slices (Bonferroni), so that many slices do not make it fail by chance.
"""

from math import ceil, inf

import numpy as np
from numpy.typing import NDArray

from ..errors import GateInputError
from ..intervals import Interval
from ..items import Items
from ..policy import Gate, SliceGate
from ..verdict import Criterion, SliceResult
from ..wording import decimals_for, outlook, plain
from .by_value import by_value
from .placing import above, worst_of

ORDER = ("Fail", "Inconclusive", "Pass")


def judge_slices(items: Items, gate: Gate, asked: SliceGate) -> tuple[Criterion, tuple[SliceResult, ...]]:
    """Does the student keep more than `min_retention` of the teacher in every slice? The slices come worst first.

    Raises GateInputError where the items have no slices, or none of them can be judged.
    """
    parts = list(items.by_slice())
    judged = (judge_slice(items, name, places, gate.level, len(parts), asked) for name, places in parts)
    found = [by_value(each, asked.min_retention, gate) for each in judged]
    found.sort(key=lambda each: (ORDER.index(each.verdict), -inf if each.low is None else each.low, each.name))
    return criterion_of(items, found, gate, asked), tuple(found)


def judge_slice(
    items: Items, name: str, places: NDArray[np.intp], level: float, slices: int, asked: SliceGate
) -> SliceResult:
    """One slice by itself; one that is too small, or shows no ratio, is Inconclusive and says why."""
    n, threshold = len(places), asked.min_retention
    if n < asked.min_items:
        why = f"it has {n:,} items, and slices.minItems asks for {asked.min_items:,}"
        return SliceResult(name=name, verdict="Inconclusive", n=n, message=why)
    try:
        part = items.take(places)
        pair = part.pair(part.teacher)
        value, interval = (
            pair.ratio(),
            Interval(pair.ratio_interval(level).low, pair.ratio_interval(level / slices).high),
        )
    except GateInputError as error:
        return SliceResult(name=name, verdict="Inconclusive", n=n, message=str(error))
    verdict, low, high = above(interval, threshold), *interval
    more = pair.ratio_items_needed(threshold, level) if verdict == "Inconclusive" else None
    needed = None if more is None else ceil(more * items.n / n)
    decimals = decimals_for(threshold, low, high)
    errors = f"{100 * level:.4g} % and {100 * level / slices:.2g} %"
    message = (
        f"{items.kept(f'{value:.{decimals}f}')} (above {low:.{decimals}f} and below {high:.{decimals}f} with errors of"
        f" {errors}, n = {n:,})"
    )
    return SliceResult(
        name=name, verdict=verdict, value=value, low=low, high=high, n=n, items_needed=needed, message=message
    )


def criterion_of(items: Items, found: list[SliceResult], gate: Gate, asked: SliceGate) -> Criterion:
    """The slices as one criterion, with the numbers of the worst one that has any."""
    worst, verdict = found[0], worst_of([each.verdict for each in found])
    shown = next((each for each in found if each.low is not None), None)
    if shown is None:
        raise GateInputError(f"slices: none of {len(found):,} can be judged; '{worst.name}': {worst.message}")
    undecided = [each.items_needed for each in found if each.verdict == "Inconclusive"]
    needed = None if None in undecided else max((each for each in undecided if each), default=None)
    ending = {"Pass": "", "Fail": "; that is below", "Inconclusive": f"; {outlook(needed, items.cluster_count)}"}[
        verdict
    ]
    return Criterion(
        name="worstSlice",
        verdict=verdict,
        **shown.model_dump(include={"value", "low", "high"}),
        threshold=asked.min_retention,
        n=items.n,
        clusters=items.cluster_count,
        items_needed=needed if verdict == "Inconclusive" else None,
        message=f"Of {len(found):,} slices '{worst.name}' is worst: {worst.message};"
        f" the gate asks for more than {plain(asked.min_retention)} in every slice{ending}.",
    )
