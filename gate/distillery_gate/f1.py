"""Macro F1: the mean over the labels that occur in gold of 2 * right / (gold + answered), all counts of that label.

It is no mean over items. The variance is the delete-one jackknife's, whose first order is the delta method of
Takahashi, Yamamoto, Kuchiba & Koyama (2022, Applied Intelligence 52, 4961-4972). One model's interval is Clopper and
Pearson's at the number of items with which a share would have this variance (Korn & Graubard 1998, Survey Methodology
24, 193-201).
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from math import ceil
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from .checks import OPTIONAL, first_index, read_only
from .clusters import Totals, by_cluster
from .errors import GateInputError
from .estimates import Estimate, EstimatesPair, critical, effect, spread
from .intervals import Interval, ScoreTerms, z_value
from .intervals import items_needed as score_items_needed
from .items import EvaluationItems, Items
from .pairs import Pair
from .proportion import exact_interval

Labels = NDArray[np.intp]  # numbers of labels; -1 for one that does not occur in gold


@dataclass(frozen=True)
class LabelCounts:
    """Of each label that occurs in gold: right answers, and how often it is gold or answered. [labels]"""

    right: Totals
    named: Totals

    @property
    def scores(self) -> Totals:
        """F1 of each label."""
        return 2 * self.right / self.named

    def fall(self, label: Labels, right: NDArray[Any], named: NDArray[Any]) -> Totals:
        """How much macro F1 falls when so many right answers among so many of a label are left out. All: [cells]

        A label of which nothing is left says nothing of its own spread, and counts as it was.
        """
        rest = self.named[label] - named
        left = 2 * (self.right[label] - right) / np.maximum(rest, 1)
        return np.where(rest > 0, self.scores[label] - left, 0.0) / len(self.named)


def macro_f1(gold: Labels, answers: Labels, clusters: NDArray[np.intp] | None) -> Estimate:
    """Of answers to n items; every number from 0 occurs in gold. All: [n]"""
    right, sizes = answers == gold, np.bincount(gold)
    answered = np.bincount(answers[answers >= 0], minlength=len(sizes))
    counts = LabelCounts(np.bincount(gold[right], minlength=len(sizes)).astype(np.float64), sizes + answered * 1.0)
    alone = counts.fall(gold, right, 1 + right)
    false = ~right & (answers >= 0)
    alone[false] += counts.fall(answers[false], np.zeros(1), np.ones(1))
    together = alone if clusters is None else cluster_falls(counts, gold, answers, clusters)
    # An item more on which one of two models is right alone, of a label as they come: where labels are equally
    # frequent, its miss and the false alarm elsewhere move macro F1 by 1 / (size * labels).
    step = float((1 / sizes).sum()) / (len(gold) * len(sizes) ** 2)
    return Estimate(float(counts.scores.mean()), alone, together, step)


def cluster_falls(counts: LabelCounts, gold: Labels, answers: Labels, clusters: NDArray[np.intp]) -> Totals:
    """How much macro F1 falls when a cluster is left out. [clusters]"""
    right, labels = answers == gold, len(counts.named)
    false = ~right & (answers >= 0)
    at = np.concatenate([clusters * labels + gold, clusters[false] * labels + answers[false]])
    cells, places = np.unique(at, return_inverse=True)
    rights = np.bincount(places, np.concatenate([right, np.zeros(false.sum())]))
    named = np.bincount(places, np.concatenate([1 + right, np.ones(false.sum())]))
    return by_cluster(counts.fall(cells % labels, rights, named), cells // labels)


@dataclass(frozen=True, eq=False, kw_only=True)
class F1Items(EvaluationItems):
    """Which labels each model gives the same n held-out items: judged by macro F1, and as right and wrong answers.

    Args:
        gold: the right label of each item, all text or all integers. [n], n >= 2
        answers: by model, the label it gives; one that does not occur in gold is wrong. [n] each
        and what EvaluationItems take: true in `teacher` and the others is where `answers` are `gold`.

    Raises:
        GateInputError: naming the field and the fix. Labels are replaced by their numbers, -1 for one that is not gold.
    """

    metric: ClassVar[str] = "macro F1"
    gold: Any
    answers: Mapping[str, Any]

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.n < 2:
            raise GateInputError("ids: one item says nothing about the spread of F1; evaluate at least two")
        gold = checked_labels("gold", self.gold, n=self.n)
        models = ["teacher", "student", *(name for name in OPTIONAL if getattr(self, name) is not None)]
        labels = {name: checked_labels(f"answers.{name}", self.answers.get(name), n=self.n) for name in models}
        if strange := [name for name, each in labels.items() if isinstance(each, list) != isinstance(gold, list)]:
            raise GateInputError(f"answers.{strange[0]}: text where gold is integers, or the reverse; give both alike")
        object.__setattr__(self, "gold", read_only(numbers_of(gold, gold)))
        told = {name: read_only(numbers_of(each, gold)) for name, each in labels.items()}
        object.__setattr__(self, "answers", MappingProxyType(told))
        for name in models:
            self._check_agree(name)

    def _check_agree(self, name: str) -> None:
        """Raises GateInputError where a model's answers are not right where it is."""
        strange = (self.answers[name] == self.gold) != getattr(self, name)
        if strange.any():
            raise GateInputError(
                f"answers.{name}: item {first_index(strange)} does not agree with {name}, which says where the answer"
                " is the gold label; make both of the same answers"
            )

    def _estimate(self, results: NDArray[Any]) -> Estimate:
        """Of the model whose right answers these are."""
        [name] = [name for name in self.answers if getattr(self, name) is results]
        return macro_f1(self.gold, self.answers[name], self.clusters)

    def pair(self, reference: NDArray[Any]) -> Pair:
        """By the answers behind one of these models' own arrays."""
        [other] = [name for name in self.answers if getattr(self, name) is reference]
        return EstimatesPair(
            self._estimate(self.student),
            self._estimate(reference),
            # Right wherever it answers otherwise: no label has fewer right answers, or more false ones.
            never_worse=bool((self.student | (self.answers["student"] == self.answers[other])).all()),
            nothing=f"teacher: right on none of {self.n:,} items, and a ratio to zero shows nothing; check that the"
            " teacher's label names match those of the test set",
        )

    def measure(self, results: NDArray[Any], level: float) -> tuple[float, Interval]:
        """Macro F1 and its interval, for one of these models' own arrays."""
        found = self._estimate(results)
        n = effective_items(found) * min(1.0, (z_value(level) / critical(found.clusters, level)) ** 2)
        return found.value, exact_interval(found.value * n, n, level)

    def items_needed(self, threshold: float, level: float) -> int | None:
        """By the score test of one share of effective items."""
        found = self._estimate(self.student)
        n, value = effective_items(found), found.value
        null = ScoreTerms(n * (value - threshold), n * threshold * (1 - threshold))
        needed = score_items_needed(null, value * (1 - value), n=1, level=level)
        return None if needed is None else ceil(needed / n * self.n)

    def under(self, metric: str) -> Items | None:
        """By accuracy too."""
        if metric != EvaluationItems.metric:
            return super().under(metric)
        return EvaluationItems(**{field.name: getattr(self, field.name) for field in fields(EvaluationItems)})

    def kept(self, ratio: str) -> str:
        """As a share of the teacher's macro F1."""
        return f"The student keeps {ratio} of the teacher's macro F1"

    def gain(self, other: str) -> str:
        """As points of macro F1."""
        return f"The student's macro F1 minus the {other}'s"


def effective_items(found: Estimate) -> float:
    """Items whose share would be as uncertain; at most as many as equally right labels of these sizes are worth."""
    most = 1 / (len(found.items) * found.step * effect(found.items, found.clusters))
    variance = spread(found.clusters)
    return min(most, found.value * (1 - found.value) / variance) if variance > 0 else most


def checked_labels(field: str, given: Any, *, n: int) -> list[str] | Labels:
    """The labels: a list of n texts, or an array of n integers. Raises GateInputError."""
    if given is None or isinstance(given, str):
        raise GateInputError(f"{field}: missing; give the label of each of the {n:,} items")
    if len(given) != n:
        raise GateInputError(f"{field}: has {len(given):,} labels for {n:,} ids; give the label of each item")
    if isinstance(given, np.ndarray) and given.dtype.kind == "i":
        return given.astype(np.intp)
    labels = given.tolist() if isinstance(given, np.ndarray) else list(given)
    kinds = {type(label) for label in labels}
    if kinds not in ({str}, {int}):
        found = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise GateInputError(f"{field}: must be all text or all integers, found {found}; give a label per item")
    return labels if str in kinds else np.array(labels, dtype=np.intp)


def numbers_of(labels: list[str] | Labels, gold: list[str] | Labels) -> Labels:
    """Their places among the labels that occur in gold, -1 for those that do not. Both: [n]; [n]"""
    if isinstance(labels, list):
        places = {label: place for place, label in enumerate(sorted(set(gold)))}
        return np.array([places.get(label, -1) for label in labels], dtype=np.intp)
    known = np.unique(gold)
    found = np.minimum(np.searchsorted(known, labels), len(known) - 1)
    return np.where(known[found] == labels, found, -1)
