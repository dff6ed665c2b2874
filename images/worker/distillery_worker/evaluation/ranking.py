"""How well scores rank the texts of a query, by gold scores: NDCG@10 and pairwise accuracy."""

from collections.abc import Sequence

import numpy as np
from distillery_api.schema import Model
from distillery_gate.ranking import ndcg, numbered
from numpy.typing import NDArray

Scores = NDArray[np.float64]


class Ranking(Model):
    """Means over queries with at least two texts of different gold scores; it decides nothing."""

    queries: int
    ndcg_at_10: float | None = None  # absent where a gold score is negative: it is then no gain
    pairwise_accuracy: float


def ranking(queries: Sequence[str], gold: Scores, scores: Scores) -> Ranking | None:
    """Rank the texts of each query; None where no query has two of different gold scores. All: [rows]."""
    numbers = numbered(queries)
    order = np.argsort(numbers, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1)
    ranked = [part for part in parts if np.ptp(gold[part]) > 0]
    if not ranked:
        return None
    chosen = np.concatenate(ranked)
    gains = None if (gold < 0).any() else ndcg(numbered(numbers[chosen]), gold[chosen], scores[chosen]).mean()
    accuracy = np.mean([pairwise_accuracy(gold[part], scores[part]) for part in ranked])
    return Ranking(
        queries=len(ranked),
        ndcg_at_10=None if gains is None else float(gains),
        pairwise_accuracy=float(accuracy),
    )


def pairwise_accuracy(gold: Scores, scores: Scores) -> float:
    """Share of one query's pairs of different gold scores [n] that the scores order alike; equal scores count half."""
    first, second = np.triu_indices(len(gold), 1)
    wanted, found = np.sign(gold[first] - gold[second]), np.sign(scores[first] - scores[second])
    return float(((1 + wanted * found) / 2)[wanted != 0].mean())
