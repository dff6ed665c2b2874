"""One proportion: Wilson's score interval (Wilson 1927, JASA 22, 209-212)."""

from math import sqrt

import numpy as np
from numpy.typing import NDArray

from .clusters import by_cluster, degrees_of_freedom, design_effect, t_value
from .intervals import Interval, z_value


def wilson_interval(right: float, n: float, z: float) -> Interval:
    """Interval for the accuracy behind `right` of n items; its ends are where the score statistic is z."""
    share = right / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    reach = z / (1 + z * z / n) * sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # At the ends the formula gives 0 and 1 but for rounding.
    low = 0.0 if right == 0 else centre - reach
    high = 1.0 if right == n else centre + reach
    return Interval(low, high)


def accuracy_interval(results: NDArray[np.bool_], clusters: NDArray[np.intp] | None, level: float) -> Interval:
    """Interval for an accuracy; each end is a one-sided bound at `level`. Clusters make n smaller. Both arrays: [n]"""
    right, n = int(np.count_nonzero(results)), len(results)
    if clusters is None:
        return wilson_interval(right, n, z_value(level))
    share, items = right / n, by_cluster(np.ones(n), clusters)
    totals = by_cluster(results, clusters) - share * items
    effect = design_effect(totals, n * share * (1 - share))
    return wilson_interval(right / effect, n / effect, t_value(degrees_of_freedom(totals), level))
