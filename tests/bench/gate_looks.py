"""Simulated test sets that are looked at again and again, and verdicts that are taken in stages."""

from collections.abc import Iterator
from itertools import product

import numpy as np
from distillery_gate import Look
from distillery_gate.looks import stage_levels
from distillery_gate.paired_counts import PairedCounts, count_pairs
from gate_cells import Cell, clustered

LEVEL = 0.05  # of all looks together, and of all stages of a verdict
LOOKS = (1, 3, 10, 30)
STAGES = ((0.5, 1.0), (0.1, 0.2, 0.4, 0.8, 1.0), (0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.0))
AT = (
    Cell("ratio", 0.95, (0.76, 0.0, 0.04, 0.2), items=1000),
    Cell("ratio", 0.9, (0.67, 0.05, 0.13, 0.15), items=300),
    Cell("ratio", 0.8, (0.38, 0.02, 0.12, 0.48), items=5000),
    Cell("difference", -0.01, (0.65, 0.05, 0.06, 0.24), items=2000),
)
IN_CLUSTERS = (
    Cell("ratio", 0.9, (0.67, 0.05, 0.13, 0.15), (200, 10), alike=0.1),
    Cell("ratio", 0.9, (0.67, 0.05, 0.13, 0.15), (200, 10), alike=0.4, even=False),
)


def rates(random: np.random.Generator, simulations: int) -> Iterator[tuple[str, int]]:
    """Each cell by name, with the simulated test sets on which some student at the threshold is promoted."""
    for cell, looks in product(AT, LOOKS):
        yield f"{looks} looks of {cell}", sum(looked_at(cell, looks, random) for _ in range(simulations))
    for cell, shares in product((*AT, *IN_CLUSTERS), STAGES):
        levels = stage_levels(LEVEL, shares)
        found = sum(extended(cell, shares, levels, random) for _ in range(simulations))
        yield f"{len(shares)} stages of {cell}", found


def looked_at(cell: Cell, looks: int, random: np.random.Generator) -> bool:
    """Whether one of so many students passes, on the same items and beside the same teacher, each in its look."""
    both, gained, lost, _ = cell.rates
    right = random.binomial(cell.items, both + lost)
    for number in range(1, looks + 1):
        kept = random.binomial(right, both / (both + lost))
        found = random.binomial(cell.items - right, gained / (1 - both - lost))
        counts = PairedCounts(kept, found, right - kept, cell.items - right - found)
        if cell.passes(counts, Look(number=number).level(LEVEL)):
            return True
    return False


def extended(cell: Cell, shares: tuple[float, ...], levels: list[float], random: np.random.Generator) -> bool:
    """Whether a student passes at some stage. A Fail on the way, which would end the looking, is not counted."""
    return any(
        cell.passes(counts, level) for counts, level in zip(stages(cell, shares, random), levels, strict=True)
    )  # fmt: skip


def stages(cell: Cell, shares: tuple[float, ...], random: np.random.Generator) -> Iterator[PairedCounts]:
    """The table at each stage."""
    if cell.clusters is None:
        kinds = random.choice(4, size=cell.items, p=cell.rates)
        for share in shares:
            yield PairedCounts(*np.bincount(kinds[: round(share * len(kinds))], minlength=4).tolist())
        return
    kinds, clusters = clustered(cell, random)
    for share in shares:
        seen = kinds[clusters < round(share * cell.clusters[0])]
        yield count_pairs(seen <= 1, (seen == 0) | (seen == 2), clusters[: len(seen)])
