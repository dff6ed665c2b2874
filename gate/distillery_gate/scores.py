"""Mean scores of the same items, larger is better: intervals for their ratio (Fieller's) and difference (Student's).

Scores such as F1 or ROUGE-L are often exactly 1 or 0, so two models may differ on few items, and then by much. The
spread of a handful says nothing of a loss that is rare. Hence two additions, which vanish as items grow in number:

- Each mean has the variance that t^2 / 2 items more would bring on which that model alone has the largest score. Where
  the models score alike on all n items the interval then reaches t^2 / n, as Tango's does for shares (1998, Statistics
  in Medicine 17, 891-908).
- On the side to which the contributions are skewed, t grows by |skewness| (1 + 2 t^2) / (6 sqrt(n)) (Johnson 1978, JASA
  73, 536-544).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, sqrt
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import paired_means
from .checks import check_all, checked_numbers, first_index, read_only
from .clusters import Totals, by_cluster, t_value
from .errors import GateInputError
from .intervals import MOST_ITEMS, POWER, Interval, root, z_value
from .items import Items
from .pairs import Pair
from .sums import jackknife, many_items, mean_of_units, t_of_units


class ScoresPair(Pair):
    """By scores: the new model's mean over the reference's, and minus it."""

    def __init__(self, new: Totals, reference: Totals, clusters: NDArray[np.intp] | None = None) -> None:
        self.n, self.never_worse = len(new), bool((new >= reference).all())
        self.new, self.reference = by_cluster(new, clusters), by_cluster(reference, clusters)
        self.sizes = by_cluster(np.ones(self.n), clusters)
        self.largest = max(float(new.max()), float(reference.max()))

    def ratio(self) -> float:
        """Mean score of the new model as a share of the reference's; at most LARGEST_RATIO."""
        if not self.reference.any():
            raise GateInputError(
                f"teacher: scores 0 on all of {self.n:,} items, and a ratio to zero shows nothing; check that larger"
                " scores are better"
            )
        return paired_means.ratio(self.new, self.reference)

    def ratio_interval(self, level: float) -> Interval:
        """Fieller's interval, by the clusters' sums."""
        t, ratio = t_value(len(self.new) - 1, level), self.ratio()
        unseen = unseen_variance(self.largest, self.sizes, t) / 2
        lower, upper = critical_values(self.new - ratio * self.reference, unseen * (1 + ratio**2), t)
        return Interval(
            paired_means.fieller_interval(self.new, self.reference, lower, unseen).low,
            paired_means.fieller_interval(self.new, self.reference, upper, unseen).high,
        )

    def ratio_items_needed(self, ratio: float, level: float) -> int | None:
        """By the paired t statistic of new - ratio * reference."""
        unseen = unseen_variance(self.largest, self.sizes, z_value(level)) * (1 + ratio**2) / 2
        return many_items(clusters_needed(self.new - ratio * self.reference, unseen, level), self.sizes)

    def difference(self) -> float:
        """Mean score of the new model minus the reference's."""
        return mean_of_units(self.new - self.reference, self.sizes)

    def difference_interval(self, level: float) -> Interval:
        """The paired t interval, by the jackknife over clusters."""
        return mean_interval(self.new - self.reference, self.sizes, self.largest, level)

    def difference_items_needed(self, difference: float, level: float) -> int | None:
        """By the paired t statistic."""
        return mean_items_needed(self.new - self.reference, self.sizes, self.largest, difference, level)


def mean_interval(totals: Totals, sizes: Totals, largest: float, level: float) -> Interval:
    """Interval for the mean of items; each end is a one-sided bound at `level`. Sums and sizes: [clusters]"""
    contributions, t = jackknife(totals, sizes), t_of_units(sizes, level)
    unseen = unseen_variance(largest, sizes, t) / float(sizes.mean()) ** 2
    lower, upper = critical_values(contributions, unseen, t)
    error = sqrt((float(contributions.var(ddof=1)) + unseen) / len(sizes))
    mean = mean_of_units(totals, sizes)
    return Interval(mean - lower * error, mean + upper * error)


def mean_items_needed(totals: Totals, sizes: Totals, largest: float, threshold: float, level: float) -> int | None:
    """Items, in clusters like these, that show a mean above the threshold with 80 % power at what was observed."""
    unseen = unseen_variance(largest, sizes, z_value(level)) / float(sizes.mean()) ** 2
    return many_items(clusters_needed(jackknife(totals, sizes) - threshold, unseen, level), sizes)


def unseen_variance(largest: float, sizes: Totals, t: float) -> float:
    """Variance that t^2 further clusters with the largest score on all of their items bring to that of one's sum."""
    return (t * largest) ** 2 * float((sizes**2).mean()) / len(sizes)


def critical_values(contributions: Totals, unseen: float, t: float) -> tuple[float, float]:
    """t for the lower and for the upper end, larger where the contributions are skewed to that side. [clusters]"""
    tilt = skewed(contributions, unseen, t) / sqrt(len(contributions))
    return t + max(0.0, -tilt), t + max(0.0, tilt)


def skewed(contributions: Totals, unseen: float, t: float) -> float:
    """Johnson's correction of t, times the root of the number of clusters. [clusters]"""
    centred = contributions - contributions.mean()
    variance = float((centred**2).mean()) + unseen
    return float((centred**3).mean()) / variance**1.5 * (1 + 2 * t * t) / 6 if variance > 0 else 0.0


def clusters_needed(contributions: Totals, unseen: float, level: float) -> int | None:
    """Clusters that show a mean contribution above 0 with 80 % power: the normal sample size, with both additions.

    None where the observed mean is not above 0, or too little for any real test set.
    """
    mean, sd, z = float(contributions.mean()), float(contributions.std(ddof=1)), z_value(level)
    given = len(contributions) * unseen
    tilt = max(0.0, -skewed(contributions, 0.0, z)) * sd

    def lacking(n: float) -> float:
        return z * sqrt(sd * sd * n + given) + z_value(1 - POWER) * sd * sqrt(n) + tilt - mean * n

    if mean <= 0 or lacking(MOST_ITEMS) > 0:
        return None
    return max(2, ceil(root(lacking, 0.0, MOST_ITEMS))) if lacking(0.0) > 0 else 2


@dataclass(frozen=True, eq=False)
class ScoreItems(Items):
    """A score of each model on each of the same n held-out items, such as its F1, in the same order; larger is better.

    Args:
        ids: names of the items, all text or all integers, each once. [n], n >= 2
        teacher, student: scores from 0, on a scale that has a top, such as 1 or 100. [n]
        incumbent, control, clusters, slices, contaminated: as for EvaluationItems. [n]

    Raises:
        GateInputError: naming the field and the fix. Arrays are copied, turned to float64 and made read-only.
    """

    metric: ClassVar[str] = "mean score"
    ids: Sequence[str] | Sequence[int]
    teacher: Totals
    student: Totals
    incumbent: Totals | None = None
    control: Totals | None = None
    clusters: Any = None
    slices: Any = None
    contaminated: Any = None

    def __post_init__(self) -> None:
        check_all(self, checked_scores)
        if self.n < 2:
            raise GateInputError("ids: one item says nothing about the spread of scores; evaluate at least two")

    def pair(self, reference: NDArray[Any]) -> Pair:
        """By paired scores."""
        return ScoresPair(self.student, reference, self.clusters)

    def measure(self, results: NDArray[Any], level: float) -> tuple[float, Interval]:
        """Mean score and Student's interval."""
        return float(results.mean()), mean_interval(*self._sums(results), level)

    def items_needed(self, threshold: float, level: float) -> int | None:
        """By the t statistic."""
        return mean_items_needed(*self._sums(self.student), threshold, level)

    def _sums(self, results: NDArray[Any]) -> tuple[Totals, Totals, float]:
        """Sums and sizes by cluster, and the largest score."""
        sizes = by_cluster(np.ones(self.n), self.clusters)
        return by_cluster(results, self.clusters), sizes, float(results.max())

    def kept(self, ratio: str) -> str:
        """As a share of the teacher's mean score."""
        return f"The student keeps {ratio} of the teacher's mean score"

    def gain(self, other: str) -> str:
        """In the unit of the scores."""
        return f"The student's mean score minus the {other}'s"


def checked_scores(field: str, given: ArrayLike | None, *, n: int) -> Totals:
    """The scores as a read-only float64 array of length n, or GateInputError."""
    results = checked_numbers(field, given, n=n, wanted="the score")
    strange = ~np.isfinite(results) | (results < 0)
    if strange.any():
        index = first_index(strange)
        raise GateInputError(
            f"{field}: item {index} is {results[index]}; give finite scores from 0, of which larger ones are better"
        )
    return read_only(results.astype(np.float64))
