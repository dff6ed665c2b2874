"""Whether the student is good enough by itself, whatever the teacher is worth."""

from ..errors import GateInputError
from ..items import Items
from ..policy import Gate
from ..verdict import Criterion
from ..wording import decimals_for, evidence, plain
from .placing import above, below, remark

# Name of the criterion: the metric it is of, and whether more of it is better.
ABSOLUTE = {
    "minAccuracy": ("accuracy", True),
    "minF1": ("macro F1", True),
    "minNdcg": ("NDCG@10", True),
    "maxMeanAbsoluteError": ("mean absolute error", False),
    "maxPerplexity": ("perplexity", False),
    "minScore": ("mean score", True),
    "minWinRate": ("win rate", True),
}


def judge_absolute(items: Items, gate: Gate) -> list[Criterion]:
    """A criterion for each limit that the gate sets. Raises GateInputError where the items have another metric."""
    limits = {name: threshold for name in ABSOLUTE if (threshold := gate.model_dump(by_alias=True)[name]) is not None}
    return [judge_limit(items, name, threshold, gate.level) for name, threshold in limits.items()]


def judge_limit(items: Items, name: str, threshold: float, level: float) -> Criterion:
    """Is the student's value of the metric shown to be on the wanted side of the threshold?"""
    metric, larger = ABSOLUTE[name]
    found = items.under(metric)
    if found is None:
        raise GateInputError(f"{name}: the items have {items.metric} and no {metric}; leave it out")
    value, interval = found.measure(found.student, level)
    verdict = above(interval, threshold) if larger else below(interval, threshold)
    needed = found.items_needed(threshold, level) if verdict == "Inconclusive" else None
    decimals = decimals_for(threshold, *interval)
    shown = evidence(*interval, level=level, n=items.n, clusters=items.cluster_count, decimals=decimals)
    ending = remark(verdict, "below" if larger else "above", needed, items.cluster_count)
    return Criterion(
        name=name,
        verdict=verdict,
        value=value,
        **interval._asdict(),
        threshold=threshold,
        n=items.n,
        clusters=items.cluster_count,
        items_needed=needed,
        message=f"The student's {metric} is {value:.{decimals}f} ({shown});"
        f" the gate asks for {'more' if larger else 'less'} than {plain(threshold)}{ending}.",
    )
