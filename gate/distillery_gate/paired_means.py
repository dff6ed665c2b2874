"""Means of paired measurements: Student's interval for a difference, Fieller's for a ratio.

Fieller (1954), J. R. Stat. Soc. B 16, 175-185. For H0: mean(top) = r * mean(bottom) the statistic is the paired
t statistic of top - r * bottom, and the interval holds every r that it does not reject.
"""

from math import ceil, inf, sqrt

import numpy as np
from numpy.typing import NDArray

from .clusters import Totals, t_value
from .intervals import MOST_ITEMS, POWER, Interval, z_value

LARGEST_RATIO = 1e6  # stands for "without bound"


def standard_error(values: Totals) -> float:
    """Of the mean of n >= 2 values."""
    return float(values.std(ddof=1)) / sqrt(len(values))


def ratio(top: Totals, bottom: Totals) -> float:
    """mean(top) / mean(bottom) of values >= 0, at most LARGEST_RATIO. mean(top) must be above 0."""
    below = float(bottom.mean())
    return min(LARGEST_RATIO, float(top.mean()) / below) if below > 0 else LARGEST_RATIO


def ratio_interval(top: Totals, bottom: Totals, level: float) -> Interval:
    """Interval for mean(top) / mean(bottom) of values >= 0, within 0 and LARGEST_RATIO. Both arrays: [n], n >= 2."""
    return fieller_interval(top, bottom, t_value(len(top) - 1, level))


def fieller_interval(top: Totals, bottom: Totals, t: float, unseen: float = 0.0) -> Interval:
    """Ratios at which the statistic is at most t; `unseen` is added to the variance of each value."""
    covariance = (np.cov(top, bottom) + unseen * np.eye(2)) / len(top)
    return fieller(float(top.mean()), float(bottom.mean()), covariance, t)


def fieller(top: float, bottom: float, covariance: NDArray[np.float64], t: float) -> Interval:
    """The ratios top / bottom at which top - ratio * bottom is within t standard errors of 0. covariance: [2, 2]"""
    # (top - r bottom)^2 <= t^2 var(top - r bottom), as a r^2 - 2 b r + c <= 0
    a = bottom**2 - t * t * covariance[1, 1]
    b = top * bottom - t * t * covariance[0, 1]
    c = top**2 - t * t * covariance[0, 0]
    spread = sqrt(max(0.0, b * b - a * c))
    if a > 0:
        return Interval(bounded((b - spread) / a), bounded((b + spread) / a))
    # The bottom may be 0: no upper bound. Of the two roots the one above 0 bounds the ratio from below.
    lower = c / (b + spread) if c > 0 and b + spread > 0 else (0.0 if c <= 0 else inf)
    return Interval(bounded(lower), LARGEST_RATIO)


def bounded(value: float) -> float:
    """The value within 0 and LARGEST_RATIO."""
    return min(LARGEST_RATIO, max(0.0, value))


def items_needed(values: Totals, level: float) -> int | None:
    """Items at which the mean of such values is shown to be above 0 with 80 % power: the normal sample size.

    None where the observed mean is not above 0, or too little for any real test set.
    """
    mean, sd = float(values.mean()), float(values.std(ddof=1))
    if mean <= 0:
        return None
    spread = (z_value(level) + z_value(1 - POWER)) * sd
    if spread >= mean * sqrt(MOST_ITEMS):
        return None
    return max(2, ceil((spread / mean) ** 2))
