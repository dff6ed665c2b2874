"""Simulated evaluations of a student that is exactly at a threshold."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import sqrt

import numpy as np
from distillery_gate.intervals import ScoreTerms
from distillery_gate.paired_counts import PairedCounts, count_pairs
from distillery_gate.paired_difference import difference_terms
from distillery_gate.paired_ratio import ratio_terms
from numpy.typing import NDArray

LEVEL = 0.05  # of one criterion in one verdict
Rates = tuple[float, float, float, float]  # of items that both, only the student, only the other, or neither has right


@dataclass(frozen=True)
class Cell:
    """A student at a threshold: of a ratio to the teacher, or of a difference to the incumbent."""

    kind: str
    threshold: float
    rates: Rates
    clusters: tuple[int, int] | None = None
    items: int = 0
    alike: float = 0.0
    even: bool = True

    def terms(self, counts: PairedCounts) -> ScoreTerms:
        """Of the test at the threshold."""
        terms = ratio_terms if self.kind == "ratio" else difference_terms
        return terms(counts, self.threshold)

    def passes(self, counts: PairedCounts, level: float = LEVEL) -> bool:
        """Whether the whole interval lies above the threshold, which is where the statistic exceeds its quantile."""
        if self.kind == "ratio" and counts.reference == 0:
            return False  # no verdict is given
        found = self.terms(counts)
        return found.numerator > counts.critical(level) * sqrt(found.variance)


def evaluations(cell: Cell, random: np.random.Generator, simulations: int) -> Iterator[PairedCounts]:
    """Tables of simulated evaluations in which each model is right on some item."""
    if cell.clusters is None:
        for row in random.multinomial(cell.items, cell.rates, size=simulations).tolist():
            yield PairedCounts(*row)
        return
    for _ in range(simulations):
        kinds, clusters = clustered(cell, random)
        yield count_pairs(kinds <= 1, (kinds == 0) | (kinds == 2), clusters)


def clustered(cell: Cell, random: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
    """Kinds of items, as in Rates, and their clusters: the rates of a cluster are drawn around those of the cell."""
    assert cell.clusters is not None
    count, size = cell.clusters
    sizes = np.full(count, size) if cell.even else random.geometric(1 / size, size=count)
    rates = np.tile(cell.rates, (count, 1))
    if cell.alike:
        # A Dirichlet distribution of this concentration gives items of a cluster this correlation.
        drawn = random.gamma(np.maximum(rates * (1 - cell.alike) / cell.alike, 1e-12))
        rates = drawn / drawn.sum(axis=1, keepdims=True)
    bounds = np.repeat(rates.cumsum(axis=1)[:, :3], sizes, axis=0)
    kinds = (random.random(len(bounds))[:, None] > bounds).sum(axis=1)
    return kinds, np.repeat(np.arange(count), sizes)
