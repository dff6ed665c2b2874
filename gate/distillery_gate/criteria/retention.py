"""How much of its teacher the student keeps."""

from ..errors import GateInputError
from ..items import Items
from ..policy import Gate
from ..verdict import Criterion
from ..wording import decimals_for, evidence, plain
from .placing import above, remark


def judge_retention(items: Items, gate: Gate) -> Criterion:
    """Does the student keep more than `min_retention` of the teacher? Raises GateInputError where chance does too."""
    check_chance(items, gate)
    pair, threshold = items.pair(items.teacher), gate.min_retention
    value, interval = pair.ratio(), pair.ratio_interval(gate.level)
    verdict = above(interval, threshold)
    needed = pair.ratio_items_needed(threshold, gate.level) if verdict == "Inconclusive" else None
    ending = remark(verdict, "below", needed, items.cluster_count)
    decimals = decimals_for(threshold, *interval)
    shown = evidence(*interval, level=gate.level, n=items.n, clusters=items.cluster_count, decimals=decimals)
    message = (
        f"{items.kept(f'{value:.{decimals}f}')} ({shown}); the gate asks for more than {plain(threshold)}{ending}."
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


def check_chance(items: Items, gate: Gate) -> None:
    """A share of a teacher that only guesses says nothing. Raises GateInputError."""
    if gate.chance_accuracy is None:
        return
    found = items.under("accuracy")
    if found is None:
        raise GateInputError(f"chanceAccuracy: the items have {items.metric}; leave it out")
    value, interval = found.measure(found.teacher, gate.level)
    if interval.low <= gate.chance_accuracy:
        raise GateInputError(
            f"teacher: accuracy {value:.3f} (at least {interval.low:.3f}, n = {items.n:,}) is not shown to be above"
            f" chance, {plain(gate.chance_accuracy)}; use a better teacher, or more items"
        )
