"""Decides whether a student may serve: one criterion per question, then the worst of them."""

import numpy as np
from numpy.typing import NDArray

from .errors import GateInputError
from .inputs import EvaluationItems
from .intervals import Interval
from .paired_counts import PairedCounts, count_pairs
from .paired_difference import difference_interval, difference_items_needed
from .paired_ratio import ratio_interval, ratio_items_needed
from .policy import Gate
from .proportion import wilson_interval
from .verdict import Accuracy, Comparison, Criterion, Outcome, Verdict
from .wording import decimals_for, evidence, outlook, plain

# A student that is right wherever the incumbent is may still be worse by an amount that no finite test can
# exclude. A loss below this share of items (a tenth of a point) then counts as none; without it, margin 0
# would hold back for ever a student that answers like the incumbent everywhere.
NEGLIGIBLE_LOSS = 0.001


def decide(items: EvaluationItems, gate: Gate) -> Verdict:
    """The verdict on the student; pure, and the same for any order of the items.

    Fail if a criterion fails, else Inconclusive if one is, else Pass.

    Raises:
        GateInputError: when the teacher is right on no item, so that no ratio to it exists.
    """
    criteria = [judge_retention(count_pairs(items.student, items.teacher), gate)]
    if items.incumbent is not None:
        criteria.append(judge_incumbent(count_pairs(items.student, items.incumbent), gate))
    comparisons = []
    if items.control is not None:
        comparisons.append(compare_control(count_pairs(items.student, items.control), gate.level))
    return Verdict(
        verdict=worst_of([criterion.verdict for criterion in criteria]),
        level=gate.level,
        n=items.n,
        criteria=tuple(criteria),
        comparisons=tuple(comparisons),
        accuracies=measure_all(items, gate.level),
    )


def judge_retention(counts: PairedCounts, gate: Gate) -> Criterion:
    """Is the student's accuracy more than `min_retention` of the teacher's?"""
    if counts.reference == 0:
        raise GateInputError(
            f"teacher: right on none of {counts.n:,} items, and a ratio to zero shows nothing; check that the"
            " teacher's label names match those of the test set"
        )
    value, threshold = counts.new / counts.reference, gate.min_retention
    interval = ratio_interval(counts, gate.level)
    verdict = place(interval, pass_above=threshold, fail_below=threshold)
    needed = ratio_items_needed(counts, threshold, gate.level) if verdict == "Inconclusive" else None
    decimals = decimals_for(threshold, *interval)
    shown = evidence(*interval, level=gate.level, n=counts.n, decimals=decimals)
    message = (
        f"The student keeps {value:.{decimals}f} of the teacher's accuracy ({shown});"
        f" the gate asks for more than {plain(threshold)}{remark(verdict, needed)}."
    )
    return Criterion(
        name="retention",
        verdict=verdict,
        value=value,
        **interval._asdict(),
        threshold=threshold,
        n=counts.n,
        items_needed=needed,
        message=message,
    )


def judge_incumbent(counts: PairedCounts, gate: Gate) -> Criterion:
    """Does the student lose less than `incumbent_margin` of accuracy to the incumbent?"""
    value, threshold = (counts.new - counts.reference) / counts.n, 0.0 - gate.incumbent_margin
    interval = difference_interval(counts, gate.level)
    least = min(threshold, -NEGLIGIBLE_LOSS) if counts.reference_only == 0 else threshold
    verdict = place(interval, pass_above=least, fail_below=threshold)
    needed = difference_items_needed(counts, least, gate.level) if verdict == "Inconclusive" else None
    decimals = decimals_for(threshold, *interval)
    shown = evidence(*interval, level=gate.level, n=counts.n, decimals=decimals)
    message = (
        f"The student's accuracy minus the incumbent's is {value:.{decimals}f} ({shown});"
        f" the gate asks for more than {plain(threshold)}{remark(verdict, needed)}"
    )
    if least < interval.low <= threshold:
        message += (
            "; the student is right wherever the incumbent is,"
            f" and a loss below {plain(NEGLIGIBLE_LOSS)} then counts as none"
        )
    return Criterion(
        name="incumbent",
        verdict=verdict,
        value=value,
        **interval._asdict(),
        threshold=threshold,
        n=counts.n,
        items_needed=needed,
        message=message + ".",
    )


def compare_control(counts: PairedCounts, level: float) -> Comparison:
    """How much the soft labels brought, against the same student trained without them."""
    value = (counts.new - counts.reference) / counts.n
    interval = difference_interval(counts, level)
    shown = evidence(*interval, level=level, n=counts.n, decimals=decimals_for(0.0, *interval))
    message = f"The student's accuracy minus the control's is {value:.3f} ({shown}); this decides nothing."
    return Comparison(name="control", value=value, **interval._asdict(), n=counts.n, message=message)


def place(interval: Interval, *, pass_above: float, fail_below: float) -> Outcome:
    """Pass or Fail where the whole interval lies on one side, else Inconclusive."""
    if interval.low > pass_above:
        return "Pass"
    return "Fail" if interval.high < fail_below else "Inconclusive"


def remark(verdict: Outcome, items_needed: int | None) -> str:
    """How the sentence of a criterion ends: nothing to add to a Pass."""
    if verdict == "Pass":
        return ""
    return "; the whole interval is below that" if verdict == "Fail" else f"; {outlook(items_needed)}"


def worst_of(verdicts: list[Outcome]) -> Outcome:
    """Fail before Inconclusive before Pass."""
    order: tuple[Outcome, ...] = ("Fail", "Inconclusive", "Pass")
    return next(verdict for verdict in order if verdict in verdicts)


def measure_all(items: EvaluationItems, level: float) -> tuple[Accuracy, ...]:
    """Accuracy of every model that was evaluated."""
    results = {
        "teacher": items.teacher,
        "student": items.student,
        "incumbent": items.incumbent,
        "control": items.control,
    }
    return tuple(measure(name, right, level) for name, right in results.items() if right is not None)


def measure(name: str, right: NDArray[np.bool_], level: float) -> Accuracy:
    """Accuracy of one model. right: [n]"""
    n, hits = len(right), int(np.count_nonzero(right))
    low, high = wilson_interval(hits, n, level)
    return Accuracy(name=name, value=hits / n, low=low, high=high, n=n)
