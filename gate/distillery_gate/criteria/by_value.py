"""Decisions by the measured value alone, for gates whose evidence is a point: chance is not asked."""

from typing import TypeVar

from ..policy import Gate
from ..verdict import COST_CRITERIA, Criterion, PerturbationResult, SliceResult
from .absolute import ABSOLUTE

Result = TypeVar("Result", Criterion, SliceResult, PerturbationResult)

# Criteria that pass below their threshold; the others pass above it.
LIMITS = {name for name, (_, larger_is_better) in ABSOLUTE.items() if not larger_is_better}
BELOW = COST_CRITERIA | LIMITS | {"negativeFlips", "copiedErrors", "calibrationError", "contamination"}


def by_value(result: Result, threshold: float, gate: Gate) -> Result:
    """What the interval leaves undecided, by the side of the threshold that the value is on, where the gate wants that.

    A part that has no value, such as a slice of too few items, stays undecided.
    """
    if gate.evidence != "Point" or result.verdict != "Inconclusive" or result.value is None:
        return result
    low = isinstance(result, Criterion) and result.name in BELOW
    passes = result.value < threshold if low else result.value > threshold
    stop = "." if result.message.endswith(".") else ""
    words = "passes by the value alone, which chance may have put there" if passes else "fails by the value alone"
    return result.model_copy(
        update={
            "verdict": "Pass" if passes else "Fail",
            "items_needed": None,
            "message": f"{result.message.removesuffix('.')}; it {words}{stop}",
        }
    )
