"""The 2x2 table of two models on the same items: all that the paired tests need, and by cluster where there are any."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .clusters import Totals, by_cluster, critical_value, design_effect
from .intervals import z_value


@dataclass(frozen=True)
class PairedCounts:
    """Independent items that both models, only the new one, only the reference, or neither gets right."""

    both: int
    new_only: int
    reference_only: int
    neither: int

    @property
    def n(self) -> int:
        """All items."""
        return self.both + self.new_only + self.reference_only + self.neither

    @property
    def new(self) -> int:
        """Items the new model gets right."""
        return self.both + self.new_only

    @property
    def reference(self) -> int:
        """Items the reference gets right."""
        return self.both + self.reference_only

    @property
    def discordant(self) -> int:
        """Items on which exactly one of the two is right."""
        return self.new_only + self.reference_only

    def ratio_effect(self, ratio: float) -> float:
        """Design effect of the hypothesis p_new = ratio * p_reference."""
        return 1.0

    def difference_effect(self, difference: float) -> float:
        """Design effect of the hypothesis p_new - p_reference = difference."""
        return 1.0

    def critical(self, level: float) -> float:
        """What a statistic must exceed in a one-sided test at `level`."""
        return z_value(level)


@dataclass(frozen=True)
class ClusteredCounts(PairedCounts):
    """Items in clusters. Right answers of both models and number of items by cluster: [clusters], at least two."""

    new_right: Totals = field(repr=False)
    reference_right: Totals = field(repr=False)
    items: Totals = field(repr=False)

    def ratio_effect(self, ratio: float) -> float:
        """By new - ratio * reference."""
        squares = self.both * (1 - ratio) ** 2 + self.new_only + ratio**2 * self.reference_only
        return design_effect(self.new_right - ratio * self.reference_right, squares)

    def difference_effect(self, difference: float) -> float:
        """By new - reference - difference."""
        same = (self.both + self.neither) * difference**2
        squares = same + self.new_only * (1 - difference) ** 2 + self.reference_only * (1 + difference) ** 2
        return design_effect(self.new_right - self.reference_right - difference * self.items, squares)

    def critical(self, level: float) -> float:
        """By the spread of the difference as observed."""
        observed = (self.new - self.reference) / self.n
        return critical_value(self.new_right - self.reference_right - observed * self.items, level)


def count_pairs(
    new: NDArray[np.bool_], reference: NDArray[np.bool_], clusters: NDArray[np.intp] | None = None
) -> PairedCounts:
    """Count the four kinds of item, in all and by the clusters' numbers. All arrays: [n]."""
    both = int(np.count_nonzero(new & reference))
    new_only = int(np.count_nonzero(new)) - both
    reference_only = int(np.count_nonzero(reference)) - both
    counts = (both, new_only, reference_only, len(new) - both - new_only - reference_only)
    if clusters is None:
        return PairedCounts(*counts)
    new_right, reference_right, items = (by_cluster(each, clusters) for each in (new, reference, np.ones(len(new))))
    return ClusteredCounts(*counts, new_right, reference_right, items)
