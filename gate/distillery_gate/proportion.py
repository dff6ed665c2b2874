"""One share of the items: Clopper and Pearson's exact interval, or Wilson's score interval by clusters.

Clopper & Pearson (1934), Biometrika 26, 404-413; Wilson (1927), JASA 22, 209-212.
"""

from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv

from .clusters import by_cluster, critical_value, design_effect
from .intervals import Interval, ScoreTerms, items_needed

Hits = NDArray[np.bool_]
Clusters = NDArray[np.intp] | None


def share_interval(hits: Hits, clusters: Clusters, level: float) -> Interval:
    """Interval for the share of hits; each end is a one-sided bound at `level`. Both arrays: [n]"""
    found, n = int(np.count_nonzero(hits)), len(hits)
    if clusters is None:
        return exact_interval(found, n, level)
    effect, totals = share_effect(hits, clusters), centred_totals(hits, clusters)
    return wilson_interval(found / effect, n / effect, critical_value(totals, level))


def exact_interval(found: float, n: float, level: float) -> Interval:
    """Shares at which as many hits as `found`, or as few, have a chance of `level`."""
    low = 0.0 if found == 0 else float(betaincinv(found, n - found + 1, level))
    high = 1.0 if found == n else float(betaincinv(found + 1, n - found, 1 - level))
    return Interval(low, high)


def wilson_interval(found: float, n: float, z: float) -> Interval:
    """Shares at which the score statistic is z."""
    share = found / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    reach = z / (1 + z * z / n) * sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # At the ends the formula gives 0 and 1 but for rounding.
    low = 0.0 if found == 0 else centre - reach
    high = 1.0 if found == n else centre + reach
    return Interval(low, high)


def centred_totals(hits: Hits, clusters: Clusters) -> NDArray[np.float64]:
    """Hits of each cluster beyond those of its size at the share of all. [clusters]"""
    centred: NDArray[np.float64] = by_cluster(hits, clusters) - hits.mean() * by_cluster(np.ones(len(hits)), clusters)
    return centred


def share_effect(hits: Hits, clusters: Clusters) -> float:
    """Design effect of the share; 1 for independent items."""
    share = float(hits.mean())
    return 1.0 if clusters is None else design_effect(centred_totals(hits, clusters), len(hits) * share * (1 - share))


def share_items_needed(hits: Hits, clusters: Clusters, threshold: float, level: float, *, above: bool) -> int | None:
    """Items that show a share above the threshold, or below it, with 80 % power at what was observed."""
    n, share, effect = len(hits), float(hits.mean()), share_effect(hits, clusters)
    gain = share - threshold if above else threshold - share
    null = ScoreTerms(n * gain, n * threshold * (1 - threshold) * effect)
    return items_needed(null, share * (1 - share) * effect, n=n, level=level)
