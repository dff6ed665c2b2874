"""Items that belong together, such as the sentences of one document, say less than as many independent ones.

A score statistic for independent items is divided by the root of a design effect (Rao & Scott 1992, Biometrics 48,
577-585): the sum of the squared totals of clusters over that of the squared contributions of items, both at the
hypothesis. Its quantile is Student's t, whose degrees of freedom say how well the clusters show their own spread
(Satterthwaite 1946, Biometrics Bulletin 2, 110-114): few where few of them carry the evidence. Where the totals are
skewed it grows by the first term of Cornish and Fisher (1938, Revue de l'Institut international de statistique 5, 307).
"""

from collections.abc import Sequence
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from .errors import GateInputError

Totals = NDArray[np.float64]


def design_effect(totals: Totals, squares: float) -> float:
    """How many times the variance of independent items the clusters have; at least 1.

    totals: of each cluster's contributions to the numerator at the hypothesis. [clusters]
    squares: the sum of the squared contributions of the items
    """
    return max(1.0, float(totals @ totals) / squares) if squares > 0 else 1.0


def degrees_of_freedom(totals: Totals) -> float:
    """2 m2^2 / Var(m2) with the moments m of totals whose mean is 0: at least 1, at most clusters - 1. [clusters]"""
    most = len(totals) - 1
    squares = totals**2
    spread = float(squares.var())
    return most if spread == 0 else min(most, max(1.0, 2 * len(totals) * float(squares.mean()) ** 2 / spread))


def critical_value(totals: Totals, level: float) -> float:
    """What a statistic must exceed in a one-sided test at `level`, on either side. Totals with mean 0: [clusters]"""
    t, squares = t_value(degrees_of_freedom(totals), level), float((totals**2).mean())
    skewness = abs(float((totals**3).mean())) / squares**1.5 if squares > 0 else 0.0
    return t + skewness * max(0.0, t * t - 1) / (6 * sqrt(len(totals)))


def t_value(degrees: float, level: float) -> float:
    """Quantile of Student's t that a one-sided test at `level` must exceed."""
    return float(stdtrit(degrees, 1 - level))


def by_cluster(values: NDArray[Any], clusters: NDArray[np.intp] | None) -> Totals:
    """Sums of values [n] by the number of their cluster; the values where each is its own. [clusters]"""
    numbers = values.astype(np.float64)
    return numbers if clusters is None else np.bincount(clusters, numbers).astype(np.float64)


def checked_clusters(given: Sequence[Any] | NDArray[Any] | None, *, n: int) -> NDArray[np.intp] | None:
    """Number of each item's cluster, [n]; None where every item is a cluster of its own. Raises GateInputError."""
    if given is None:
        return None
    names = list(given.tolist() if isinstance(given, np.ndarray) else given)
    if len(names) != n:
        raise GateInputError(f"clusters: has {len(names):,} names for {n:,} ids; name the cluster of each item")
    kinds = {type(name) for name in names}
    if kinds not in ({str}, {int}):
        found = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise GateInputError(f"clusters: must be all text or all integers, found {found}; name one per item")
    distinct, numbers = np.unique(np.array(names), return_inverse=True)
    if len(distinct) == n:
        return None
    if len(distinct) == 1:
        raise GateInputError("clusters: all items are of one; how clusters differ shows from two on, and well from 20")
    numbers.flags.writeable = False
    return numbers.astype(np.intp, copy=False)
