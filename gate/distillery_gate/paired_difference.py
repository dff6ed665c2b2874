"""Difference of two paired proportions: Tango's score test and its interval.

Tango (1998), Statistics in Medicine 17, 891-908. For H0: p_new - p_reference = d the statistic is
(x_new_only - x_reference_only - n d) / sd, with the variance taken at the maximum-likelihood rates under H0.
"""

from functools import partial
from math import sqrt

from .intervals import Interval, ScoreTerms, items_needed, lower_root, upper_root
from .paired_counts import PairedCounts

BESIDE = 1e-12  # of an end of the scale, in units of it


def difference_terms(counts: PairedCounts, difference: float) -> ScoreTerms:
    """Numerator and null variance of the statistic for H0: p_new - p_reference = difference, in [-1, 1]."""
    n, gain = counts.n, counts.new_only - counts.reference_only
    # The restricted estimate q of P(only the reference is right) solves 2n q^2 + b q + c = 0.
    b = (2 * n - gain) * difference - counts.discordant
    c = -counts.reference_only * difference * (1 - difference)
    q = (sqrt(max(0.0, b * b - 8 * n * c)) - b) / (4 * n)
    # n (p_new_only + p_reference_only - d^2) under H0; rounding can push it just below zero.
    variance = max(0.0, n * (2 * q + difference * (1 - difference)))
    return ScoreTerms(gain - n * difference, variance * counts.difference_effect(difference))


def difference_interval(counts: PairedCounts, level: float) -> Interval:
    """Interval for p_new - p_reference; each end is a one-sided bound at `level`."""
    n, z = counts.n, counts.critical(level)
    if counts.discordant == 0:
        # The statistic is 0/0 at d = 0 and sqrt(n |d| / (1 - |d|)) away from it.
        reach = z * z / (n / counts.difference_effect(1.0) + z * z)
        return Interval(-reach, reach)
    estimate = (counts.new_only - counts.reference_only) / n
    terms = partial(difference_terms, counts)
    # At an estimate of -1 or 1 numerator and variance are both 0, which is a root but not the bound: start beside it.
    low = lower_root(terms, z, -1.0, min(estimate, 1.0 - BESIDE)) if estimate > -1 else -1.0
    high = upper_root(terms, z, max(estimate, BESIDE - 1.0), 1.0) if estimate < 1 else 1.0
    return Interval(low, high)


def difference_items_needed(counts: PairedCounts, difference: float, level: float) -> int | None:
    """Items that show p_new - p_reference > difference with 80 % power at the observed rates."""
    estimate = (counts.new_only - counts.reference_only) / counts.n
    variance = max(0.0, counts.discordant / counts.n - estimate**2) * counts.difference_effect(estimate)
    return items_needed(difference_terms(counts, difference), variance, n=counts.n, level=level)
