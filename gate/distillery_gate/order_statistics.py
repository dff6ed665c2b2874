"""Quantiles of any continuous distribution, by order statistics of a sample.

David & Nagaraja (2003), Order Statistics, 3rd ed., section 7.1: the values of n that lie below the q-quantile are
binomial (n, q), so the r-th smallest is a bound of it whose error is a binomial probability, whatever the distribution.
Of a sample that takes each input in turn, with a distribution for each, it holds too: their number is then less spread
than a binomial one of the same mean (Hoeffding 1956, Ann. Math. Stat. 27, 713-721).
"""

from math import ceil, log

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr, bdtrc

from .intervals import MOST_ITEMS, POWER, Interval, z_value

Sample = NDArray[np.float64]
LONGEST = 1e6  # stands for "without bound"; of answers in milliseconds a quarter of an hour


def fewest(share: float, level: float) -> int:
    """Values without which there is no bound above the quantile at `share`: n with share^n <= level."""
    return max(2, ceil(log(level) / log(share)))


def quantile_interval(sample: Sample, share: float, level: float) -> Interval:
    """Interval for the quantile at `share` of values in [0, LONGEST], [n]; each end is a one-sided bound at `level`.

    Of fewer than `fewest` values it ends at LONGEST.
    """
    n = len(sample)
    ordered = np.append(np.sort(sample), LONGEST)
    below = bdtr(np.arange(n), n, share)  # P(at most k of n lie below the quantile)
    lower = int(np.searchsorted(below, level, side="right"))  # the last rank r with P(fewer than r) <= level
    upper = upper_rank(n, share, level)
    return Interval(0.0 if lower == 0 else float(ordered[lower - 1]), float(ordered[upper - 1]))


def upper_rank(n: int, share: float, level: float) -> int:
    """The first rank r with P(at least r of n lie below the quantile) <= level; n + 1 where there is none."""
    # The normal approximation is off by a few ranks, which a window around it holds.
    middle = n * share + z_value(level) * (n * share * (1 - share)) ** 0.5
    ranks = np.arange(max(1, int(middle) - 50), n + 1)[:101]
    fits = np.flatnonzero(bdtrc(ranks - 1, n, share) <= level)
    return int(ranks[fits[0]]) if len(fits) else n + 1


def values_needed(share_below: float, share: float, level: float) -> int | None:
    """Values with which the quantile at `share` is shown to lie below a limit, with 80 % power.

    share_below: of the values below the limit. None where that is not above `share`, or too little for any sample.
    """
    if share_below <= share:
        return None

    def enough(n: int) -> bool:
        return float(bdtrc(upper_rank(n, share, level) - 1, n, share_below)) >= POWER

    few = high = fewest(share, level)
    while not enough(high):
        few, high = high, 2 * high
        if high > MOST_ITEMS:
            return None
    while high - few > 1:
        middle = (few + high) // 2
        few, high = (few, middle) if enough(middle) else (middle, high)
    return high
