"""Errors that the student has from its teacher: the same wrong answer, more often than the control gives it.

Items that are hard are answered wrongly by models that never met; what soft labels taught shows against the control.
"""

from typing import NamedTuple

from ..errors import GateInputError
from ..intervals import Interval
from ..items import EvaluationItems, Items
from ..pairs import AnswersPair
from ..policy import Gate
from ..verdict import Comparison, Criterion
from ..wording import decimals_for, evidence, plain
from .placing import below, remark


class Copied(NamedTuple):
    """Shares of items on which student and control repeat a mistake of the teacher, and how much more the student."""

    student: float
    control: float
    more: float
    interval: Interval
    pair: AnswersPair  # the control against the student


def copied(items: Items, level: float) -> Copied | None:
    """None where the items do not tell, or there is no control."""
    if not isinstance(items, EvaluationItems) or items.student_copies is None or items.control_copies is None:
        return None
    pair = AnswersPair(items.control_copies, items.student_copies, items.clusters)
    low, high = pair.difference_interval(level)
    shares = float(items.student_copies.mean()), float(items.control_copies.mean())
    return Copied(*shares, 0.0 - pair.difference(), Interval(0.0 - high, 0.0 - low), pair)


def sentence(items: Items, found: Copied, level: float, threshold: float) -> str:
    """What was found."""
    decimals = decimals_for(threshold, *found.interval)
    shown = evidence(*found.interval, level=level, n=items.n, clusters=items.cluster_count, decimals=decimals)
    return (
        f"The student repeats a mistake of its teacher on {found.student:.{decimals}f} of the items and the control on"
        f" {found.control:.{decimals}f}, a difference of {found.more:.{decimals}f} ({shown})"
    )


def judge_copied_errors(items: Items, gate: Gate, most: float) -> Criterion:
    """Does the student repeat the teacher's mistakes on less than `most` of the items more than the control?

    Raises GateInputError where the items do not tell, or there is no control.
    """
    found = copied(items, gate.level)
    if found is None:
        raise GateInputError(
            "maxCopiedErrors: the items have no control, or no wrong answers to compare; train a control, or leave it"
            " out"
        )
    verdict = below(found.interval, most)
    needed = found.pair.difference_items_needed(-most, gate.level) if verdict == "Inconclusive" else None
    return Criterion(
        name="copiedErrors",
        verdict=verdict,
        value=found.more,
        **found.interval._asdict(),
        threshold=most,
        n=items.n,
        clusters=items.cluster_count,
        items_needed=needed,
        message=f"{sentence(items, found, gate.level, most)}; the gate asks for less than {plain(most)}"
        f"{remark(verdict, 'above', needed, items.cluster_count)}.",
    )


def compare_copied_errors(items: Items, level: float) -> Comparison | None:
    """The same, where the gate does not ask."""
    found = copied(items, level)
    if found is None:
        return None
    message = f"{sentence(items, found, level, 0.0)}; this decides nothing."
    return Comparison(name="copiedErrors", value=found.more, **found.interval._asdict(), n=items.n, message=message)
