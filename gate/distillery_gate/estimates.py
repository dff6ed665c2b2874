"""Two models by an estimate that is no mean of right and wrong answers: macro F1, NDCG.

The variance is the delete-one jackknife's over clusters (Efron & Stein 1981, Annals of Statistics 9, 586-596), and that
of z^2 more items of which the new model alone is right on one half and the reference alone on the other, as Agresti &
Min (2005, Statistics in Medicine 24, 729-740) add two; the estimate itself stays. Without them, items on which two
models hardly differ would show a certainty that they do not have: models that agree everywhere would have no variance
at all. With them a ratio of 1 has a lower bound of about 1 - z^2 / n, as by Tang's test. Ratios are Fieller's.
"""

from dataclasses import dataclass
from math import ceil, sqrt

import numpy as np

from .clusters import Totals, critical_value
from .errors import GateInputError
from .intervals import MOST_ITEMS, POWER, Interval, z_value
from .paired_means import fieller
from .pairs import Pair


@dataclass(frozen=True)
class Estimate:
    """A model's value of a metric, and what it would be on fewer items.

    Args:
        value: on all items.
        items: how much it falls when an item is left out. [n]
        clusters: how much it falls when a cluster is left out; `items` where they are independent. [clusters]
        step: variance that one item brings on which one of two models is right alone.
    """

    value: float
    items: Totals
    clusters: Totals
    step: float


def spread(falls: Totals) -> float:
    """The jackknife's variance of an estimate. [clusters]"""
    return (len(falls) - 1) * float(falls.var())


def critical(falls: Totals, level: float) -> float:
    """What an estimate must exceed in standard errors. [clusters]"""
    return critical_value(falls - falls.mean(), level)


def effect(items: Totals, clusters: Totals) -> float:
    """How many times the variance of independent items the clusters have; at least 1."""
    alone = spread(items)
    # Where nothing differs from item to item, items of a cluster may be one item.
    return max(1.0, spread(clusters) / alone) if alone > 0 else len(items) / len(clusters)


def added(estimate: Estimate, effect: float, level: float) -> float:
    """Variance of the z^2 items more, of so many as are worth one, in a difference of two models or in one alone."""
    return z_value(level) ** 2 * estimate.step * effect**2


def items_needed(gain: float, variance: float, more: float, *, n: int, level: float) -> int | None:
    """Items at which a gain over the threshold is shown with 80 % power, at what n items showed.

    With x = n / N the variance on N items is x * variance, and x^2 * more for the items added.
    """
    wanted = gain / (z_value(level) + z_value(1 - POWER))
    if wanted <= 0:
        return None
    root = sqrt(variance**2 + 4 * more * wanted**2)
    share = 2 * wanted**2 / (variance + root) if variance + root > 0 else n / 2
    return None if n >= share * MOST_ITEMS else max(2, ceil(n / share))


class EstimatesPair(Pair):
    """By estimates from the same items. nothing: what to say where the reference's is 0"""

    def __init__(self, new: Estimate, reference: Estimate, *, never_worse: bool, nothing: str) -> None:
        self.new, self.reference, self.n = new, reference, len(new.items)
        self.never_worse, self.nothing = never_worse, nothing

    def ratio(self) -> float:
        """The new model's estimate as a share of the reference's."""
        if self.reference.value == 0:
            raise GateInputError(self.nothing)
        return self.new.value / self.reference.value

    def ratio_interval(self, level: float) -> Interval:
        """Fieller's interval."""
        ratio, count = self.ratio(), len(self.new.clusters)
        covariance = (count - 1) * np.cov(self.new.clusters, self.reference.clusters, bias=True)
        covariance[[0, 1], [0, 1]] += added(self.new, self._effect(ratio), level) / 2
        t = critical(self._falls(ratio), level)
        return fieller(self.new.value, self.reference.value, covariance, t)

    def ratio_items_needed(self, ratio: float, level: float) -> int | None:
        """By the statistic new - ratio * reference."""
        return self._items_needed(0.0, ratio, self._effect(self.ratio()), level)

    def difference(self) -> float:
        """The new model's estimate minus the reference's."""
        return self.new.value - self.reference.value

    def difference_interval(self, level: float) -> Interval:
        """Student's, with the degrees of freedom and the skewness of clusters.critical_value."""
        falls = self._falls(1.0)
        variance = spread(falls) + added(self.new, self._effect(1.0), level)
        reach = critical(falls, level) * sqrt(variance)
        return Interval(self.difference() - reach, self.difference() + reach)

    def difference_items_needed(self, difference: float, level: float) -> int | None:
        """By the same statistic."""
        return self._items_needed(difference, 1.0, self._effect(1.0), level)

    def _falls(self, slope: float) -> Totals:
        """Of new - slope * reference, by cluster."""
        return self.new.clusters - slope * self.reference.clusters

    def _effect(self, slope: float) -> float:
        """Design effect of new - slope * reference."""
        return effect(self.new.items - slope * self.reference.items, self._falls(slope))

    def _items_needed(self, least: float, slope: float, effect: float, level: float) -> int | None:
        """Items that show new - slope * reference to be more than `least`."""
        gain = self.new.value - slope * self.reference.value - least
        more = added(self.new, effect, level) * (1 + slope**2) / 2
        return items_needed(gain, spread(self._falls(slope)), more, n=self.n, level=level)
