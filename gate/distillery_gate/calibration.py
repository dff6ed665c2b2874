"""Calibration: whether a model is right as often as it says.

The expected calibration error is the mean over bins of |accuracy - confidence|, with bins of about equally many items
(Nixon et al. 2019, arXiv 1904.01685): the mean over items of sign(bin) * (right - confidence), whose spread over items
or clusters gives the interval. Noise moves the error of a calibrated model up, never down: the lower bound is less by
what noise adds at most, the mean of a half-normal variable in every bin.
"""

from collections.abc import Iterator
from math import pi, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .clusters import Totals, by_cluster, design_effect
from .intervals import Interval
from .paired_means import items_needed
from .sums import jackknife, many_items, mean_of_units_interval

MOST_BINS, FEWEST_ITEMS = 15, 20  # bins, and items that a bin has at least on average
Right = NDArray[np.bool_]
Clusters = NDArray[np.intp] | None


class Bin(NamedTuple):
    """Items of similar confidence. places: [items of the bin]"""

    places: NDArray[np.intp]
    confidence: float
    accuracy: float


def bins(right: Right, confidence: Totals) -> Iterator[Bin]:
    """Bins of about equally many items, the least confident first; items of one confidence share one. Arrays: [n]"""
    n = len(confidence)
    count = max(1, min(MOST_BINS, n // FEWEST_ITEMS))
    edges = np.unique(np.sort(confidence)[[n * number // count for number in range(1, count)]])
    numbers = np.searchsorted(edges, confidence, side="right")
    for number in np.unique(numbers):
        places = np.flatnonzero(numbers == number)
        yield Bin(places, float(confidence[places].mean()), float(right[places].mean()))


def signed_gaps(right: Right, confidence: Totals) -> Totals:
    """What each item adds to the error, whose mean it is. Arrays: [n]"""
    gaps = np.zeros(len(right))
    for found in bins(right, confidence):
        sign = 1.0 if found.accuracy >= found.confidence else -1.0
        gaps[found.places] = sign * (right[found.places] - confidence[found.places])
    return gaps


def calibration_error(right: Right, confidence: Totals, clusters: Clusters, level: float) -> tuple[float, Interval]:
    """The error and its interval; each end is a one-sided bound at `level`. Arrays: [n], n >= 2"""
    gaps, sizes = signed_gaps(right, confidence), by_cluster(np.ones(len(right)), clusters)
    value, interval = float(gaps.mean()), mean_of_units_interval(by_cluster(gaps, clusters), sizes, level)
    return value, Interval(max(0.0, interval.low - noise(right, confidence, clusters)), max(0.0, interval.high))


def noise(right: Right, confidence: Totals, clusters: Clusters) -> float:
    """What chance adds at most to the error, on average."""
    added = 0.0
    for found in bins(right, confidence):
        spread = float((right[found.places] - confidence[found.places]).std())
        added += len(found.places) / len(right) * spread / sqrt(len(found.places))
    residuals = right - confidence - (right - confidence).mean()
    effect = design_effect(by_cluster(residuals, clusters), float(residuals @ residuals))
    return added * sqrt(2 / pi * effect)


def calibration_items_needed(
    right: Right, confidence: Totals, clusters: Clusters, threshold: float, level: float
) -> int | None:
    """Items that show an error below the threshold with 80 % power at what was observed."""
    sizes = by_cluster(np.ones(len(right)), clusters)
    told = jackknife(by_cluster(signed_gaps(right, confidence), clusters), sizes)
    return many_items(items_needed(threshold - told, level), sizes)


def brier_score(right: Right, confidence: Totals) -> float:
    """Mean of (confidence - right)^2 of the answer that is given (Brier 1950, Monthly Weather Review 78, 1-3)."""
    return float(((confidence - right) ** 2).mean())
