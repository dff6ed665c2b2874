"""`make bench-gate`: how often the gate errs at its thresholds, over simulated evaluations. The last line is JSON.

Every cell of a grid simulates evaluations of a student that is exactly at a threshold, and counts those that pass. The
grid is over the teacher's accuracy, how often student and teacher differ, the number of items, how they are clustered,
how many slices there are, the metric, how many students look at one test set, and in how many stages a verdict is
taken. A cell's lower bound is Clopper and Pearson's at 0.01 divided by the number of cells, so that with a probability
of 99 % no true rate is below its own.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from itertools import product
from math import sqrt

import numpy as np
from distillery_gate import EvaluationItems, Gate, SliceGate, decide
from distillery_gate.intervals import POWER, z_value
from distillery_gate.paired_counts import PairedCounts
from distillery_gate.paired_difference import difference_items_needed
from distillery_gate.paired_ratio import ratio_items_needed
from distillery_gate.pairs import ErrorsPair
from distillery_gate.proportion import exact_interval
from gate_cells import LEVEL, Cell, Rates, evaluations
from gate_looks import rates as rates_of_looks
from gate_metrics import rare_label
from gate_metrics import rates as rates_of_metrics
from gate_scores import WINS_LEVEL, win_rates
from gate_scores import rates as rates_of_scores

SLICES = (1, 5, 20)
SIZES = (20, 50, 100, 300, 1000, 10_000)
TEACHERS = (0.3, 0.5, 0.8, 0.95, 0.98)
GAINED = (0.0, 0.01, 0.05, 0.1)  # share of items that the student alone has right
CLUSTERINGS = ((20, 10), (50, 4), (50, 10), (200, 10))  # clusters, items in each on average
ALIKE = (0.0, 0.1, 0.4)  # intra-cluster correlation


def cells() -> Iterator[Cell]:
    """The grid but for slices."""
    at = [*at_ratios(), *at_differences()]
    for (kind, threshold, rates), size in product(at, SIZES):
        yield Cell(kind, threshold, rates, items=size)
    for (kind, threshold, rates), clusters, alike, even in product(at[::8], CLUSTERINGS, ALIKE, (True, False)):
        yield Cell(kind, threshold, rates, clusters, alike=alike, even=even)


def at_ratios() -> Iterator[tuple[str, float, Rates]]:
    """Students that keep exactly so much of their teacher."""
    for kept, teacher, gained in product((0.8, 0.9, 0.95, 0.98), TEACHERS, GAINED):
        both = kept * teacher - gained
        rates = (both, gained, teacher - both, 1 - teacher - gained)
        if min(rates) >= 0:
            yield "ratio", kept, rates


def at_differences() -> Iterator[tuple[str, float, Rates]]:
    """Students that lose exactly so much to the incumbent."""
    for lost, gained in product((0.0, 0.01, 0.05), (0.01, 0.05, 0.15)):
        yield "difference", -lost, (0.7 - gained, gained, gained + lost, 0.3 - gained - lost)


def promoted(cell: Cell, random: np.random.Generator, simulations: int) -> int:
    """Simulated evaluations that pass."""
    return sum(cell.passes(counts) for counts in evaluations(cell, random, simulations))


def sliced(slices: int, random: np.random.Generator, simulations: int) -> int:
    """Promotions of a student that is at the threshold in one of so many slices of 200 items and above it in others."""
    gate = Gate(min_retention=0.01, slices=SliceGate(min_retention=0.9), level=2 * LEVEL)  # its first look has LEVEL
    names = np.repeat([f"s{number}" for number in range(slices)], 200)
    found = 0
    for _ in range(simulations):
        rates = [(0.7, 0.02, 0.1, 0.18), *[(0.79, 0.02, 0.01, 0.18)] * (slices - 1)]
        kinds = np.concatenate([random.choice(4, size=200, p=each) for each in rates])
        items = EvaluationItems(
            ids=range(len(kinds)), teacher=(kinds == 0) | (kinds == 2), student=kinds <= 1, slices=names
        )
        found += decide(items, gate).verdict == "Pass"
    return found


def as_independent(random: np.random.Generator, simulations: int) -> float:
    """The worst rate in cells with clusters where the gate is not told of them."""
    worst = 0
    for cell in cells():
        if cell.clusters and cell.alike:
            tables = evaluations(cell, random, simulations)
            alone = (PairedCounts(each.both, each.new_only, each.reference_only, each.neither) for each in tables)
            worst = max(worst, sum(map(cell.passes, alone)))
    return worst / simulations


def heavy_tail(clusters: int, random: np.random.Generator, simulations: int) -> float:
    """Promotions at a ratio of mean errors of 0.9, in clusters of 6 items whose errors share a log-normal factor."""
    numbers, found = np.repeat(np.arange(clusters), 6), 0
    for _ in range(simulations):
        teacher = random.exponential(size=len(numbers))
        factor = random.lognormal(-0.5, 1.0, size=clusters)  # of mean 1
        student = (teacher + random.exponential(size=len(numbers))) / 2 * factor[numbers] / 0.9
        found += ErrorsPair(student, teacher, numbers).ratio_interval(LEVEL).low > 0.9
    return found / simulations


def items_error(cell: Cell, random: np.random.Generator, simulations: int) -> float:
    """How far the number that is told to be needed is from the one at which simulations pass in 80 %."""
    needed_for = ratio_items_needed if cell.kind == "ratio" else difference_items_needed
    told = needed_for(PairedCounts(*(round(rate * 10**7) for rate in cell.rates)), cell.threshold, LEVEL)
    assert told is not None
    sizes = [round(told * part) for part in (0.85, 0.95, 1.05, 1.15)]
    powers = [
        sum(cell.passes(PairedCounts(*row)) for row in random.multinomial(size, cell.rates, size=simulations).tolist())
        / simulations
        for size in sizes
    ]
    # Power is nearly a straight line in the square root of the number, in units of the normal distribution.
    slope, start = np.polyfit(np.sqrt(sizes), [-z_value(power) for power in powers], 1)
    return float(told / ((z_value(1 - POWER) - start) / slope) ** 2 - 1)


def power_gap(cell: Cell, random: np.random.Generator, simulations: int) -> float:
    """What the same statistic with the normal quantile, as its authors have it, passes more often."""
    z, gap = z_value(LEVEL), 0
    for counts in evaluations(cell, random, simulations):
        found = cell.terms(counts)
        gap += (found.numerator > z * sqrt(found.variance)) - cell.passes(counts)
    return gap / simulations


ABOVE = (
    Cell("ratio", 0.95, (0.78, 0.03, 0.04, 0.15), items=1000),
    Cell("ratio", 0.8, (0.45, 0.05, 0.1, 0.4), items=200),
    Cell("difference", -0.01, (0.75, 0.04, 0.04, 0.17), items=2000),
    Cell("difference", -0.05, (0.6, 0.1, 0.12, 0.18), items=1000),
)


def a_million_items() -> float:
    """Seconds that a verdict on as many items takes, in clusters of 10 and 20 slices."""
    random, n = np.random.default_rng(0), 10**6
    teacher = random.random(n) < 0.82
    student = np.where(random.random(n) < 0.95, teacher, random.random(n) < 0.7)
    items = EvaluationItems(
        ids=range(n), teacher=teacher, student=student, incumbent=teacher, control=~teacher,
        clusters=np.arange(n) // 10, slices=[f"slice {row % 20}" for row in range(n)],
    )  # fmt: skip
    gate = Gate(min_retention=0.9, max_negative_flips=0.1, slices=SliceGate(min_retention=0.8))
    began = time.perf_counter()
    decide(items, gate)
    return time.perf_counter() - began


def main() -> None:
    """Simulate every cell, and print."""
    parser = argparse.ArgumentParser(description="How often the gate errs at its thresholds.")
    parser.add_argument("--simulations", type=int, default=10_000, help="of each cell; default: %(default)s")
    simulations = parser.parse_args().simulations
    random = np.random.default_rng(20261127)
    rates: dict[str, int] = {}
    for cell in cells():
        rates[str(cell)] = promoted(cell, random, simulations)
    for slices in SLICES:
        rates[f"{slices} slices"] = sliced(slices, random, simulations)
    rates |= rates_of_looks(random, simulations)
    rates |= rates_of_scores(random, simulations)
    rates |= rates_of_metrics(random, simulations)
    worst = sorted(rates, key=lambda name: -rates[name])[:5]
    for name in worst:
        print(f"{rates[name] / simulations:.4f} {name}", file=sys.stderr)
    low = exact_interval(rates[worst[0]], simulations, 0.01 / len(rates)).low
    found = {
        "level": LEVEL,
        "simulations": simulations,
        "cells": len(rates),
        "worst_false_promotion": rates[worst[0]] / simulations,
        "worst_false_promotion_low": round(low, 4),
        "worst_power_gap": max(power_gap(cell, random, simulations) for cell in ABOVE),
        "worst_n_error": round(max(abs(items_error(cell, random, simulations)) for cell in ABOVE), 4),
        "worst_as_independent": as_independent(random, simulations // 10),
        "rare_label": rare_label(random, simulations // 4),
        "win_rates": {"level": WINS_LEVEL} | win_rates(),
        "heavy_tail": {str(count): heavy_tail(count, random, simulations) for count in (10, 50, 200)},
        "million_items_s": round(a_million_items(), 2),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
