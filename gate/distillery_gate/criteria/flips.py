"""Negative flips: what was right before and is wrong with the student (Yan et al. 2021, CVPR, arXiv 2011.09161)."""

import numpy as np

from ..errors import GateInputError
from ..items import EvaluationItems, Items
from ..policy import Gate
from ..proportion import share_interval, share_items_needed
from ..verdict import Criterion
from ..wording import decimals_for, evidence, plain
from .placing import below, remark


def judge_flips(items: Items, gate: Gate, most: float) -> Criterion:
    """Does the student get less than `most` of the items wrong that the model before it gets right?

    The model before it is the incumbent, or the teacher where nothing serves yet. Raises GateInputError where items are
    not right or wrong.
    """
    if not isinstance(items, EvaluationItems):
        raise GateInputError(
            f"maxNegativeFlips: the items have {items.metric}, not right and wrong answers; leave it out"
        )
    before = "teacher" if items.incumbent is None else "incumbent"
    flips = np.asarray(getattr(items, before)) & ~items.student
    value, interval = float(flips.mean()), share_interval(flips, items.clusters, gate.level)
    verdict = below(interval, most)
    more = share_items_needed(flips, items.clusters, most, gate.level, above=False)
    needed = more if verdict == "Inconclusive" else None
    decimals = decimals_for(most, *interval)
    shown = evidence(*interval, level=gate.level, n=items.n, clusters=items.cluster_count, decimals=decimals)
    return Criterion(
        name="negativeFlips",
        verdict=verdict,
        value=value,
        **interval._asdict(),
        threshold=most,
        n=items.n,
        clusters=items.cluster_count,
        items_needed=needed,
        message=f"The {before} is right and the student wrong on {value:.{decimals}f} of the items ({shown});"
        f" the gate asks for less than {plain(most)}{remark(verdict, 'above', needed, items.cluster_count)}.",
    )
