"""What a criterion asks of two models on the same items, whatever they are measured by."""

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from . import paired_difference, paired_means, paired_ratio
from .clusters import Totals, by_cluster
from .errors import GateInputError
from .intervals import Interval
from .paired_counts import PairedCounts, count_pairs
from .sums import jackknife, many_items, mean_of_units, mean_of_units_interval


class Pair(ABC):
    """A new model against a reference. Ratio and difference are larger where the new model is better."""

    n: int
    never_worse: bool  # the new model is nowhere worse than the reference

    @abstractmethod
    def ratio(self) -> float:
        """How much of the reference the new model keeps. Raises GateInputError where there is no ratio."""

    @abstractmethod
    def ratio_interval(self, level: float) -> Interval:
        """Interval for the ratio; each end is a one-sided bound at `level`."""

    @abstractmethod
    def ratio_items_needed(self, ratio: float, level: float) -> int | None:
        """Items that show more than `ratio` with 80 % power at what was observed."""

    @abstractmethod
    def difference(self) -> float:
        """By how much the new model is better, in the metric's unit."""

    @abstractmethod
    def difference_interval(self, level: float) -> Interval:
        """Interval for the difference; each end is a one-sided bound at `level`."""

    @abstractmethod
    def difference_items_needed(self, difference: float, level: float) -> int | None:
        """Items that show more than `difference` with 80 % power at what was observed."""


class AnswersPair(Pair):
    """By right answers: accuracies."""

    def __init__(
        self, new: NDArray[np.bool_], reference: NDArray[np.bool_], clusters: NDArray[np.intp] | None = None
    ) -> None:
        self.counts: PairedCounts = count_pairs(new, reference, clusters)
        self.n = self.counts.n
        self.never_worse = self.counts.reference_only == 0

    def ratio(self) -> float:
        """Accuracy of the new model as a share of the reference's."""
        if self.counts.reference == 0:
            raise GateInputError(
                f"teacher: right on none of {self.n:,} items, and a ratio to zero shows nothing; check that the"
                " teacher's label names match those of the test set"
            )
        return self.counts.new / self.counts.reference

    def ratio_interval(self, level: float) -> Interval:
        """Tang's score interval."""
        return paired_ratio.ratio_interval(self.counts, level)

    def ratio_items_needed(self, ratio: float, level: float) -> int | None:
        """By Tang's statistic."""
        return paired_ratio.ratio_items_needed(self.counts, ratio, level)

    def difference(self) -> float:
        """Accuracy of the new model minus the reference's."""
        return (self.counts.new - self.counts.reference) / self.n

    def difference_interval(self, level: float) -> Interval:
        """Tango's score interval."""
        return paired_difference.difference_interval(self.counts, level)

    def difference_items_needed(self, difference: float, level: float) -> int | None:
        """By Tango's statistic."""
        return paired_difference.difference_items_needed(self.counts, difference, level)


class ErrorsPair(Pair):
    """By absolute errors: the reference's mean error over the new model's, and minus it."""

    def __init__(self, new: Totals, reference: Totals, clusters: NDArray[np.intp] | None = None) -> None:
        self.n, self.never_worse = len(new), bool((new <= reference).all())
        self.new, self.reference = by_cluster(new, clusters), by_cluster(reference, clusters)
        self.sizes = by_cluster(np.ones(self.n), clusters)

    def ratio(self) -> float:
        """Mean error of the reference as a share of the new model's; at most LARGEST_RATIO."""
        if not self.reference.any():
            raise GateInputError(
                f"teacher: without any error on {self.n:,} items, and no student keeps a share of nothing; check that"
                " the gold values were not made by the teacher"
            )
        return paired_means.ratio(self.reference, self.new)

    def ratio_interval(self, level: float) -> Interval:
        """Fieller's interval, by the clusters' sums."""
        return paired_means.ratio_interval(self.reference, self.new, level)

    def ratio_items_needed(self, ratio: float, level: float) -> int | None:
        """By the paired t statistic of reference - ratio * new."""
        return many_items(paired_means.items_needed(self.reference - ratio * self.new, level), self.sizes)

    def difference(self) -> float:
        """Mean error of the reference minus the new model's."""
        return mean_of_units(self.reference - self.new, self.sizes)

    def difference_interval(self, level: float) -> Interval:
        """The paired t interval, where items are independent."""
        return mean_of_units_interval(self.reference - self.new, self.sizes, level)

    def difference_items_needed(self, difference: float, level: float) -> int | None:
        """By the paired t statistic."""
        gains = jackknife(self.reference - self.new, self.sizes)
        return many_items(paired_means.items_needed(gains - difference, level), self.sizes)
