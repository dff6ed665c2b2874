"""Decides whether a student may serve: one criterion per question, then the worst of them."""

from .inputs import Items
from .intervals import Interval
from .pairs import Pair
from .policy import Gate
from .verdict import Comparison, Criterion, Measurement, Outcome, Verdict
from .wording import decimals_for, evidence, outlook, plain

# A student that is nowhere worse than the incumbent may still be worse by an amount that no finite test can exclude.
# A loss below this (a tenth of a point of accuracy) then counts as none; without it, margin 0 would hold back for ever
# a student that answers like the incumbent everywhere.
NEGLIGIBLE_LOSS = 0.001


def decide(items: Items, gate: Gate) -> Verdict:
    """The verdict on the student; pure, and the same for any order of the items.

    Fail if a criterion fails, else Inconclusive if one is, else Pass.

    Raises:
        GateInputError: when the teacher is right on no item, or never wrong by anything, so that there is no ratio.
    """
    criteria = [judge_retention(items, gate)]
    if items.incumbent is not None:
        criteria.append(judge_incumbent(items, items.pair(items.incumbent), gate))
    comparisons = []
    if items.control is not None:
        comparisons.append(compare_control(items, items.pair(items.control), gate.level))
    return Verdict(
        verdict=worst_of([criterion.verdict for criterion in criteria]),
        level=gate.level,
        n=items.n,
        criteria=tuple(criteria),
        comparisons=tuple(comparisons),
        measurements=measure_all(items, gate.level),
    )


def judge_retention(items: Items, gate: Gate) -> Criterion:
    """Does the student keep more than `min_retention` of the teacher?"""
    pair, threshold = items.pair(items.teacher), gate.min_retention
    value, interval = pair.ratio(), pair.ratio_interval(gate.level)
    verdict = place(interval, pass_above=threshold, fail_below=threshold)
    needed = pair.ratio_items_needed(threshold, gate.level) if verdict == "Inconclusive" else None
    decimals = decimals_for(threshold, *interval)
    shown = evidence(*interval, level=gate.level, n=items.n, clusters=items.cluster_count, decimals=decimals)
    message = (
        f"{items.kept(f'{value:.{decimals}f}')} ({shown});"
        f" the gate asks for more than {plain(threshold)}{remark(verdict, needed, items.cluster_count)}."
    )
    return Criterion(
        name="retention",
        verdict=verdict,
        value=value,
        **interval._asdict(),
        threshold=threshold,
        n=items.n,
        clusters=items.cluster_count,
        items_needed=needed,
        message=message,
    )


def judge_incumbent(items: Items, pair: Pair, gate: Gate) -> Criterion:
    """Does the student lose less than `incumbent_margin` to the incumbent?"""
    value, threshold = pair.difference(), 0.0 - gate.incumbent_margin
    interval = pair.difference_interval(gate.level)
    least = min(threshold, -NEGLIGIBLE_LOSS) if pair.never_worse else threshold
    verdict = place(interval, pass_above=least, fail_below=threshold)
    needed = pair.difference_items_needed(least, gate.level) if verdict == "Inconclusive" else None
    decimals = decimals_for(threshold, *interval)
    shown = evidence(*interval, level=gate.level, n=items.n, clusters=items.cluster_count, decimals=decimals)
    message = (
        f"{items.gain('incumbent')} is {value:.{decimals}f} ({shown});"
        f" the gate asks for more than {plain(threshold)}{remark(verdict, needed, items.cluster_count)}"
    )
    if least < interval.low <= threshold:
        message += (
            "; the student is nowhere worse than the incumbent,"
            f" and a loss below {plain(NEGLIGIBLE_LOSS)} then counts as none"
        )
    return Criterion(
        name="incumbent",
        verdict=verdict,
        value=value,
        **interval._asdict(),
        threshold=threshold,
        n=items.n,
        clusters=items.cluster_count,
        items_needed=needed,
        message=message + ".",
    )


def compare_control(items: Items, pair: Pair, level: float) -> Comparison:
    """How much the soft labels brought, against the same student trained without them."""
    value, interval = pair.difference(), pair.difference_interval(level)
    shown = evidence(
        *interval, level=level, n=items.n, clusters=items.cluster_count, decimals=decimals_for(0.0, *interval)
    )
    message = f"{items.gain('control')} is {value:.3f} ({shown}); this decides nothing."
    return Comparison(name="control", value=value, **interval._asdict(), n=items.n, message=message)


def place(interval: Interval, *, pass_above: float, fail_below: float) -> Outcome:
    """Pass or Fail where the whole interval lies on one side, else Inconclusive."""
    if interval.low > pass_above:
        return "Pass"
    return "Fail" if interval.high < fail_below else "Inconclusive"


def remark(verdict: Outcome, items_needed: int | None, clusters: int | None) -> str:
    """How the sentence of a criterion ends: nothing to add to a Pass."""
    if verdict == "Pass":
        return ""
    return "; the whole interval is below that" if verdict == "Fail" else f"; {outlook(items_needed, clusters)}"


def worst_of(verdicts: list[Outcome]) -> Outcome:
    """Fail before Inconclusive before Pass."""
    order: tuple[Outcome, ...] = ("Fail", "Inconclusive", "Pass")
    return next(verdict for verdict in order if verdict in verdicts)


def measure_all(items: Items, level: float) -> tuple[Measurement, ...]:
    """Every model that was evaluated."""
    names = ("teacher", "student", "incumbent", "control")
    return tuple(measure(items, name, level) for name in names if getattr(items, name) is not None)


def measure(items: Items, name: str, level: float) -> Measurement:
    """One model."""
    value, interval = items.measure(getattr(items, name), level)
    return Measurement(name=name, metric=items.metric, value=value, **interval._asdict(), n=items.n)
