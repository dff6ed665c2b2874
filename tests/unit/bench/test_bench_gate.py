"""What the bench of the gate simulates: students at their thresholds, and clusters as alike as it says."""

import gate_bench
import gate_cells
import numpy as np
import pytest
from distillery_gate.paired_counts import PairedCounts
from distillery_gate.paired_difference import difference_interval
from distillery_gate.paired_ratio import ratio_interval
from gate_bench import Cell

CELLS = list(gate_bench.cells())


def test_every_cell_is_exactly_at_its_threshold() -> None:
    for cell in CELLS:
        both, new_only, other_only, _ = cell.rates
        found = (both + new_only) / (both + other_only) if cell.kind == "ratio" else new_only - other_only
        assert sum(cell.rates) == pytest.approx(1)
        assert found == pytest.approx(cell.threshold)


def test_a_simulated_evaluation_passes_where_its_interval_lies_above_the_threshold() -> None:
    random = np.random.default_rng(0)
    for kind, threshold, interval in (("ratio", 0.9, ratio_interval), ("difference", -0.05, difference_interval)):
        cell = Cell(kind, threshold, (0.8, 0.05, 0.05, 0.1))
        tables = [PairedCounts(*row) for row in random.multinomial(150, cell.rates, size=200).tolist()]
        expected = [interval(counts, gate_cells.LEVEL).low > threshold for counts in tables]
        assert [cell.passes(counts) for counts in tables] == expected
        assert 10 < sum(expected) < 190


def test_a_teacher_that_is_never_right_lets_nobody_pass() -> None:
    assert not Cell("ratio", 0.5, (0.2, 0.1, 0.3, 0.4)).passes(PairedCounts(0, 5, 0, 15))


@pytest.mark.parametrize("alike", [0.0, 0.1, 0.4])
def test_items_of_a_cluster_are_as_alike_as_the_cell_says(alike: float) -> None:
    cell = Cell("ratio", 0.9, (0.6, 0.12, 0.2, 0.08), (4000, 8), alike=alike)
    kinds, clusters = gate_cells.clustered(cell, np.random.default_rng(1))
    right = (kinds <= 1).astype(float)
    assert right.mean() == pytest.approx(0.72, abs=0.03)
    means = np.bincount(clusters, right) / np.bincount(clusters)
    within = right.var() / 8 * (1 + 7 * alike)  # the variance of a cluster's mean
    assert means.var() == pytest.approx(within, rel=0.1)


def test_uneven_clusters_have_the_size_of_even_ones_on_average() -> None:
    cell = Cell("ratio", 0.9, (0.6, 0.12, 0.2, 0.08), (4000, 8), alike=0.1, even=False)
    sizes = np.bincount(gate_cells.clustered(cell, np.random.default_rng(1))[1])
    assert sizes.mean() == pytest.approx(8, abs=0.5)
    assert sizes.min() == 1


def test_the_numbers_told_to_be_needed_are_about_those_that_pass() -> None:
    error = gate_bench.items_error(gate_bench.ABOVE[1], np.random.default_rng(2), 2000)
    assert abs(error) < 0.1
