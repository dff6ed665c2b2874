"""What the paired score tests share: normal quantiles, intervals by inversion, and the items a test needs."""

from collections.abc import Callable
from math import ceil, sqrt
from typing import NamedTuple

from scipy.optimize import brentq
from scipy.special import ndtri

POWER = 0.8  # planned chance of a Pass at the observed rates
MOST_ITEMS = 10**9  # nobody evaluates more; beyond it "collect more items" is no advice


class Interval(NamedTuple):
    """Two-sided interval whose ends are the one-sided bounds at the level asked for."""

    low: float
    high: float


class ScoreTerms(NamedTuple):
    """A score statistic's numerator and its variance under the null, both for all n items together."""

    numerator: float
    variance: float


def z_value(level: float) -> float:
    """Standard normal quantile that a one-sided test at `level` must exceed."""
    return -float(ndtri(level))


def lower_root(terms: Callable[[float], ScoreTerms], z: float, start: float, estimate: float) -> float:
    """Parameter in [start, estimate] at which the statistic falls to z.

    Solved as numerator = z * sd, which stays finite where the variance vanishes.
    """
    return root(lambda value: excess(terms(value), -z), start, estimate)


def upper_root(terms: Callable[[float], ScoreTerms], z: float, estimate: float, end: float) -> float:
    """Parameter in [estimate, end] at which the statistic falls to -z."""
    return root(lambda value: excess(terms(value), z), estimate, end)


def excess(terms: ScoreTerms, z: float) -> float:
    """numerator + z * sd."""
    return terms.numerator + z * sqrt(terms.variance)


def root(function: Callable[[float], float], start: float, end: float) -> float:
    """A sign change of `function` between start and end, to machine precision."""
    return float(brentq(function, start, end, xtol=1e-15, maxiter=500))


def items_needed(null: ScoreTerms, variance: float, *, n: int, level: float) -> int | None:
    """Items at which the test would pass with 80 % power if the observed rates are the true ones.

    The null terms, from n items, grow in proportion to n, so the usual normal sample size follows:
    N = ((z_level * sd_null + z_power * sd_observed) / mean)^2, all three for one item.

    Args:
        null: the statistic's terms at the threshold.
        variance: variance of one item's contribution to the numerator at the observed rates.

    Returns None when the observed mean is not above the threshold, or too little for any real test set.
    """
    mean = null.numerator / n
    if mean <= 0:
        return None
    sd = z_value(level) * sqrt(null.variance / n) + z_value(1 - POWER) * sqrt(variance)
    # Compared before squaring a tiny mean can overflow.
    if sd >= mean * sqrt(MOST_ITEMS):
        return None
    return ceil((sd / mean) ** 2)
