"""How well scores rank the texts of a query, by gold scores: NDCG@10 and pairwise accuracy."""

from collections.abc import Sequence

import numpy as np
from distillery_api.schema import Model
from numpy.typing import NDArray

DEPTH = 10  # ranks that NDCG looks at

Scores = NDArray[np.float64]


class Ranking(Model):
    """Means over queries with at least two texts of different gold scores; it decides nothing."""

    queries: int
    ndcg_at_10: float | None = None  # absent where a gold score is negative: it is then no gain
    pairwise_accuracy: float


def ranking(queries: Sequence[str], gold: Scores, scores: Scores) -> Ranking | None:
    """Rank the texts of each query; None where no query has two of different gold scores. All: [rows]."""
    numbers = np.unique(np.array(queries), return_inverse=True)[1]
    order = np.argsort(numbers, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1)
    ranked = [part for part in parts if np.ptp(gold[part]) > 0]
    if not ranked:
        return None
    gains = None if (gold < 0).any() else np.mean([ndcg(gold[part], scores[part]) for part in ranked])
    accuracy = np.mean([pairwise_accuracy(gold[part], scores[part]) for part in ranked])
    return Ranking(
        queries=len(ranked),
        ndcg_at_10=None if gains is None else float(gains),
        pairwise_accuracy=float(accuracy),
    )


def ndcg(gold: Scores, scores: Scores) -> float:
    """DCG of one query's texts [n] by their scores, as a share of the best possible, at DEPTH ranks.

    A text's gain is its gold score and its discount log2(1 + rank), as in trec_eval. Texts of equal score share the
    mean of their gains (McSherry and Najork, ECIR 2008), so that their order in the file does not count.
    """
    discounts = 1 / np.log2(np.arange(2, 2 + len(gold)))
    discounts[DEPTH:] = 0
    places = np.unique(-scores, return_inverse=True)[1]
    mean_gains = np.bincount(places, gold) / np.bincount(places)
    found = mean_gains[np.sort(places)] @ discounts
    return float(found / (np.sort(gold)[::-1] @ discounts))


def pairwise_accuracy(gold: Scores, scores: Scores) -> float:
    """Share of one query's pairs of different gold scores [n] that the scores order alike; equal scores count half."""
    first, second = np.triu_indices(len(gold), 1)
    wanted, found = np.sign(gold[first] - gold[second]), np.sign(scores[first] - scores[second])
    return float(((1 + wanted * found) / 2)[wanted != 0].mean())
