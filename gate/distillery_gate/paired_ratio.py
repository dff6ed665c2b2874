"""Ratio of two paired proportions: Tang's score test and its interval.

Tang, Tang & Chan (2003), Statistics in Medicine 22, 1217-1233. For H0: p_new = r * p_reference the statistic
is (x_new - r * x_reference) / sd, with the variance taken at the maximum-likelihood rates under H0.
"""

from functools import partial
from math import inf, sqrt

from .intervals import Interval, ScoreTerms, items_needed, lower_root, upper_root
from .paired_counts import PairedCounts


def ratio_terms(counts: PairedCounts, ratio: float) -> ScoreTerms:
    """Numerator and null variance of the score statistic for H0: p_new = ratio * p_reference (ratio >= 0)."""
    n, right = counts.n, counts.both + counts.discordant
    # The restricted estimate q of P(only the reference is right) solves a q^2 + b q + c = 0.
    a = n * (1 + ratio)
    b = ratio**2 * counts.reference - (right + counts.reference_only)
    c = counts.reference_only * (1 - ratio) * right / n
    q = larger_root(a, b, c)
    # n E[(new - ratio * reference)^2] under H0; rounding can push it just below its least value, zero.
    variance = max(0.0, n * (1 + ratio) * q + (ratio - 1) * right)
    return ScoreTerms(counts.new - ratio * counts.reference, variance * counts.ratio_effect(ratio))


def larger_root(a: float, b: float, c: float) -> float:
    """Larger root of a x^2 + b x + c for a > 0, without cancellation when b > 0."""
    spread = sqrt(max(0.0, b * b - 4 * a * c))
    if b <= 0:
        return (spread - b) / (2 * a)
    return -2 * c / (spread + b)


def ratio_interval(counts: PairedCounts, level: float) -> Interval:
    """Interval for p_new / p_reference; each end is a one-sided bound at `level`."""
    if counts.reference == 0:
        raise ValueError("the reference is right on no item: there is no ratio to it")
    z = counts.critical(level)
    if counts.discordant == 0:
        # The statistic is 0/0 at r = 1 and sqrt(both * (1 - r) / r) below, its mirror image above.
        both = counts.both / counts.ratio_effect(0.0)
        return Interval(both / (both + z * z), (both + z * z) / both)
    if counts.new == 0:
        # The statistic is -sqrt(r * x_reference).
        return Interval(0.0, z * z * counts.ratio_effect(1.0) / counts.reference)
    estimate = counts.new / counts.reference
    terms = partial(ratio_terms, counts)
    low = lower_root(terms, z, 0.0, estimate)
    high = upper_root(terms, z, estimate, upper_bracket(counts, z, estimate))
    return Interval(low, high)


def upper_bracket(counts: PairedCounts, z: float, estimate: float) -> float:
    """A ratio above the upper bound: the statistic falls without limit as the ratio grows."""
    ratio, statistic = estimate, inf
    while statistic >= -z:
        ratio *= 2
        terms = ratio_terms(counts, ratio)
        statistic = terms.numerator / sqrt(terms.variance)
    return ratio


def ratio_items_needed(counts: PairedCounts, ratio: float, level: float) -> int | None:
    """Items that show p_new > ratio * p_reference with 80 % power at the observed rates."""
    mean = (counts.new - ratio * counts.reference) / counts.n
    squares = counts.both * (1 - ratio) ** 2 + counts.new_only + ratio**2 * counts.reference_only
    variance = max(0.0, squares / counts.n - mean**2) * counts.ratio_effect(counts.new / counts.reference)
    return items_needed(ratio_terms(counts, ratio), variance, n=counts.n, level=level)
