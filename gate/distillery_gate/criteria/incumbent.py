"""Whether the student is as good as the model that serves now."""

from ..items import Items
from ..pairs import Pair
from ..policy import Gate
from ..verdict import Criterion
from ..wording import decimals_for, evidence, plain
from .placing import above, remark

# A student that is nowhere worse than the incumbent may still be worse by an amount that no finite test can exclude.
# A loss below this (a tenth of a point of accuracy) then counts as none; without it, margin 0 would hold back for ever
# a student that answers like the incumbent everywhere.
NEGLIGIBLE_LOSS = 0.001


def judge_incumbent(items: Items, pair: Pair, gate: Gate) -> Criterion:
    """Does the student lose less than `incumbent_margin` to the incumbent?"""
    value, threshold = pair.difference(), 0.0 - gate.incumbent_margin
    interval = pair.difference_interval(gate.level)
    least = min(threshold, -NEGLIGIBLE_LOSS) if pair.never_worse else threshold
    verdict = "Pass" if interval.low > least else above(interval, threshold)
    needed = pair.difference_items_needed(least, gate.level) if verdict == "Inconclusive" else None
    ending = remark(verdict, "below", needed, items.cluster_count)
    decimals = decimals_for(threshold, *interval)
    shown = evidence(*interval, level=gate.level, n=items.n, clusters=items.cluster_count, decimals=decimals)
    message = (
        f"{items.gain('incumbent')} is {value:.{decimals}f} ({shown});"
        f" the gate asks for more than {plain(threshold)}{ending}"
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
