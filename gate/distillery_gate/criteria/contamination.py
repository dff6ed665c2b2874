"""Held-out items that stand in what the student learned from: it may know them by heart, and they show little.

No interval: the question is about these items, all of which were looked up, and not about others like them.
"""

import numpy as np
from numpy.typing import NDArray

from ..errors import GateInputError
from ..items import Items
from ..policy import Gate
from ..verdict import Comparison, Criterion
from ..wording import FEWEST_DECIMALS, decimals_for, plain


def judge_contamination(items: Items, gate: Gate, most: float) -> Criterion:
    """Are at most `most` of the items known to the student? Raises GateInputError where nobody looked them up."""
    if items.contaminated is None:
        raise GateInputError(
            "maxContamination: nobody looked up which items the student learned from; record it as contaminated, or"
            " leave it out"
        )
    share = float(items.contaminated.mean())
    ending = "; that is more" if share > most else ""
    said = sentence(items, items.contaminated, gate.level, decimals_for(most, share))
    return Criterion(
        name="contamination",
        verdict="Fail" if share > most else "Pass",
        value=share,
        low=share,
        high=share,
        threshold=most,
        n=items.n,
        message=f"{said}; the gate asks for at most {plain(most)}{ending}.",
    )


def compare_contamination(items: Items, level: float) -> Comparison | None:
    """The same, where the gate does not ask; None where nobody looked."""
    if items.contaminated is None:
        return None
    share = float(items.contaminated.mean())
    message = f"{sentence(items, items.contaminated, level, FEWEST_DECIMALS)}; this decides nothing."
    return Comparison(name="contamination", value=share, low=share, high=share, n=items.n, message=message)


def sentence(items: Items, contaminated: NDArray[np.bool_], level: float, decimals: int) -> str:
    """How many there are, and what the student is worth with and without them."""
    count = int(np.count_nonzero(contaminated))
    if count == 0:
        return f"None of {items.n:,} items stands in what the student learned from"
    share = f"{count:,} of {items.n:,} items, a share of {count / items.n:.{decimals}f},"
    value = value_of(items, level)
    with_them = f"{share} stand in what the student learned from: its {items.metric} is {value} with them"
    try:
        return f"{with_them} and {value_of(items.take(np.flatnonzero(~contaminated)), level)} without"
    except GateInputError:  # too few are left to say
        return with_them


def value_of(items: Items, level: float) -> str:
    """The student's value of the metric."""
    return f"{items.measure(items.student, level)[0]:.{FEWEST_DECIMALS}f}"
