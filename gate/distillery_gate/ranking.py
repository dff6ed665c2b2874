"""How well scores rank the texts of a query: NDCG@10, for which a query is the item.

A text's gain is its gold score and its discount log2(1 + rank), as in trec_eval (Jarvelin & Kekalainen 2002, ACM TOIS
20, 422-446). Texts of equal score share the mean of their gains (McSherry & Najork 2008, ECIR), so that their order in
a file does not count.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .checks import check_all, checked_numbers, first_index, read_only
from .clusters import Totals, by_cluster
from .errors import GateInputError
from .estimates import Estimate, EstimatesPair, added, critical, effect, items_needed, spread
from .intervals import Interval
from .items import Items
from .pairs import Pair

DEPTH = 10  # ranks that NDCG looks at

Queries = NDArray[np.intp]  # number of each text's query, from 0


def with_order(queries: Queries, gold: Totals) -> NDArray[np.bool_]:
    """Queries that have two texts of different gold scores; others have nothing to rank. Texts: [n]; [queries]"""
    count = int(queries.max()) + 1
    least, most = np.full(count, np.inf), np.full(count, -np.inf)
    np.minimum.at(least, queries, gold)
    np.maximum.at(most, queries, gold)
    found: NDArray[np.bool_] = most > least
    return found


def ndcg(queries: Queries, gold: Totals, scores: Totals) -> Totals:
    """NDCG@10 of each query, in [0, 1]. Texts with gold >= 0, some above 0 in each query: [n]; [queries]"""
    return gains(queries, gold, scores) / gains(queries, gold, gold)


def gains(queries: Queries, gold: Totals, scores: Totals) -> Totals:
    """Discounted gains of each query's first DEPTH texts by their scores. [queries]"""
    order = np.lexsort((-scores, queries))
    query, score = queries[order], scores[order]
    starts = np.flatnonzero(np.diff(query, prepend=-1))
    rank = np.arange(len(query)) - np.repeat(starts, np.diff(starts, append=len(query)))
    discounts: Totals = np.where(rank < DEPTH, 1 / np.log2(rank + 2), 0.0)
    ties = np.cumsum((np.diff(query, prepend=-1) != 0) | (np.diff(score, prepend=score[0]) != 0)) - 1
    shared = np.bincount(ties, gold[order]) / np.bincount(ties)
    return by_cluster(shared[ties] * discounts, query)


@dataclass(frozen=True, eq=False)
class RankingItems(Items):
    """NDCG@10 of each model on the same n held-out queries, in the same order; larger is better.

    Args:
        ids: names of the queries, all text or all integers, each once. [n], n >= 2
        teacher, student: NDCG@10 of each query, from 0 to 1. [n]
        incumbent, control, clusters, slices, contaminated: as for EvaluationItems. [n]
        unranked: NDCG@10 of each query's texts in no order, all of one score. [n]
        left_out: how many queries had nothing to rank.

    Raises:
        GateInputError: naming the field and the fix. Arrays are copied, turned to float64 and made read-only.
    """

    metric: ClassVar[str] = "NDCG@10"
    ids: list[str] | list[int]
    teacher: Totals
    student: Totals
    unranked: Totals
    incumbent: Totals | None = None
    control: Totals | None = None
    clusters: Any = None
    slices: Any = None
    contaminated: Any = None
    left_out: int = 0

    def __post_init__(self) -> None:
        check_all(self, checked_gains)
        if self.n < 2:
            raise GateInputError("ids: one query says nothing about the spread of NDCG; evaluate at least two")
        object.__setattr__(self, "unranked", checked_gains("unranked", self.unranked, n=self.n))

    def _estimate(self, results: Totals) -> Estimate:
        """Mean of queries."""
        alone, sizes = falls(results, np.ones(self.n)), by_cluster(np.ones(self.n), self.clusters)
        together = alone if self.clusters is None else falls(by_cluster(results, self.clusters), sizes)
        # A query more that one of two models ranks as gold does, and the other not at all.
        step = float(((1 - self.unranked) ** 2).mean()) / self.n**2
        return Estimate(float(results.mean()), alone, together, step)

    def pair(self, reference: NDArray[Any]) -> Pair:
        """By paired queries."""
        return EstimatesPair(
            self._estimate(self.student),
            self._estimate(reference),
            never_worse=bool((self.student >= reference).all()),
            nothing=f"teacher: NDCG@10 of 0 on {self.n:,} queries, and a ratio to zero shows nothing; check that higher"
            " scores mean more relevant for teacher and gold alike",
        )

    def measure(self, results: NDArray[Any], level: float) -> tuple[float, Interval]:
        """Mean NDCG@10 and its interval, within 0 and 1."""
        found = self._estimate(results)
        more = added(found, effect(found.items, found.clusters), level)
        reach = critical(found.clusters, level) * sqrt(spread(found.clusters) + more)
        return found.value, Interval(max(0.0, found.value - reach), min(1.0, found.value + reach))

    def items_needed(self, threshold: float, level: float) -> int | None:
        """By the same statistic."""
        found = self._estimate(self.student)
        more = added(found, effect(found.items, found.clusters), level)
        return items_needed(found.value - threshold, spread(found.clusters), more, n=self.n, level=level)

    def kept(self, ratio: str) -> str:
        """As a share of the teacher's NDCG, with how many queries show none."""
        if not self.left_out:
            return f"The student keeps {ratio} of the teacher's NDCG@10"
        without = f"Without {self.left_out:,} queries that have nothing to rank"
        return f"{without}, the student keeps {ratio} of the teacher's NDCG@10"

    def gain(self, other: str) -> str:
        """As points of NDCG."""
        return f"The student's NDCG@10 minus the {other}'s"


def falls(totals: Totals, sizes: Totals) -> Totals:
    """How much a mean of items falls when a cluster is left out. All: [clusters]"""
    mean = float(totals.sum() / sizes.sum())
    found: Totals = (totals - mean * sizes) / (sizes.sum() - sizes)
    return found


def checked_gains(field: str, given: ArrayLike | None, *, n: int) -> Totals:
    """NDCG as a read-only float64 array of length n. Raises GateInputError."""
    found = checked_numbers(field, given, n=n, wanted="the query's NDCG@10")
    strange = ~((found >= 0) & (found <= 1 + 1e-9))
    if strange.any():
        index = first_index(strange)
        raise GateInputError(f"{field}: query {index} is {found[index]}; give its NDCG@10, from 0 to 1")
    return read_only(np.minimum(found.astype(np.float64), 1.0))


def ranked(
    query: Sequence[Any],
    gold: Totals,
    scores: Mapping[str, Totals],
    clusters: Sequence[Any] | None = None,
    slices: Sequence[Any] | None = None,
    contaminated: NDArray[np.bool_] | None = None,
) -> RankingItems:
    """Items of the queries that have something to rank, from their texts.

    Args:
        query: what each text is ranked for. [texts]
        gold: gains, finite and not negative; all of a query alike, or all 0, are nothing to rank. [texts]
        scores: by model; teacher and student, and incumbent and control where there are such. [texts] each
        clusters, slices: as for EvaluationItems, the same for all texts of a query. [texts]
        contaminated: as for EvaluationItems; a query is where one of its texts is. [texts]

    Raises:
        GateInputError: naming the field and the fix.
    """
    check_gold(gold)
    queries = numbered(query)
    chosen = with_order(queries, gold)
    if not chosen.any():
        raise GateInputError("query: none has texts of different gold scores, so there is nothing to rank; add texts")
    texts = np.flatnonzero(chosen[queries])
    part, gains_of = numbered(queries[texts]), gold[texts].astype(np.float64)
    first = texts[np.unique(part, return_index=True)[1]]
    measured = {name: ndcg(part, gains_of, each[texts].astype(np.float64)) for name, each in scores.items()}
    return RankingItems(
        ids=[str(query[row]) for row in first],
        teacher=measured["teacher"],
        student=measured["student"],
        incumbent=measured.get("incumbent"),
        control=measured.get("control"),
        clusters=one_each("cluster", clusters, queries, first),
        slices=one_each("slice", slices, queries, first),
        contaminated=None if contaminated is None else by_cluster(contaminated[texts], part) > 0,
        unranked=ndcg(part, gains_of, np.zeros(len(texts))),
        left_out=int(np.count_nonzero(~chosen)),
    )


def check_gold(gold: Totals) -> None:
    """Raises GateInputError where a gold score is no gain."""
    strange = ~(np.isfinite(gold) & (gold >= 0))
    if strange.any():
        index = first_index(strange)
        raise GateInputError(
            f"gold: item {index} is {gold[index]}, and NDCG takes gold scores as gains, finite and not negative; shift"
            " them, or judge by the mean absolute error"
        )


def numbered(names: Any) -> Queries:
    """Numbers of names, from 0. [n]"""
    return np.unique(np.array(names), return_inverse=True)[1]


def one_each(field: str, names: Sequence[Any] | None, queries: Queries, first: Queries) -> list[Any] | None:
    """The name of each query whose first text is given. Raises GateInputError where texts of a query have several."""
    if names is None:
        return None
    numbers = numbered(names)
    last = np.zeros(int(queries.max()) + 1, dtype=np.intp)
    last[queries] = numbers
    torn = last[queries] != numbers
    if torn.any():
        raise GateInputError(
            f"{field}: item {first_index(torn)} has another one than other texts of its query, which are judged as one;"
            f" give all texts of a query one {field}"
        )
    return [names[row] for row in first]
