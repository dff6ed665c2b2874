"""Where an interval lies, and how the sentence of a criterion says so."""

from ..intervals import Interval
from ..verdict import Outcome
from ..wording import outlook


def above(interval: Interval, threshold: float) -> Outcome:
    """Pass or Fail where the whole interval lies on one side of the threshold, else Inconclusive."""
    if interval.low > threshold:
        return "Pass"
    return "Fail" if interval.high < threshold else "Inconclusive"


def below(interval: Interval, threshold: float) -> Outcome:
    """Pass where the whole interval lies below the threshold, Fail where it lies above."""
    if interval.high < threshold:
        return "Pass"
    return "Fail" if interval.low > threshold else "Inconclusive"


def remark(verdict: Outcome, side: str, items_needed: int | None, clusters: int | None) -> str:
    """How the sentence ends: nothing to add to a Pass. side: "below" or "above" where the interval of a Fail lies"""
    if verdict == "Pass":
        return ""
    failed = f"; the whole interval is {side} that"
    return failed if verdict == "Fail" else f"; {outlook(items_needed, clusters)}"


def worst_of(verdicts: list[Outcome]) -> Outcome:
    """Fail before Inconclusive before Pass."""
    order: tuple[Outcome, ...] = ("Fail", "Inconclusive", "Pass")
    return next(verdict for verdict in order if verdict in verdicts)
