"""How often the tests decide wrongly, and how well they plan, over fixed-seed simulated evaluations."""

from math import sqrt

import numpy as np
import pytest
from distillery_gate.paired_counts import PairedCounts
from distillery_gate.paired_difference import difference_interval, difference_items_needed
from distillery_gate.paired_ratio import ratio_interval, ratio_items_needed

LEVEL = 0.05
DRAWS = 2000


def simulated(n: int, both: float, new_only: float, reference_only: float) -> list[PairedCounts]:
    """Tables of n independent items with the given rates."""
    rates = [both, new_only, reference_only, 1 - both - new_only - reference_only]
    draws = np.random.default_rng(20240607).multinomial(n, rates, size=DRAWS)
    return [PairedCounts(*(int(count) for count in row)) for row in draws]


def within_binomial_error(rate: float, expected: float) -> bool:
    return abs(rate - expected) < 3.5 * sqrt(expected * (1 - expected) / DRAWS)


@pytest.mark.parametrize(
    ("n", "retention", "teacher", "new_only"),
    [(300, 0.9, 0.8, 0.05), (2000, 0.95, 0.82, 0.04), (2000, 0.8, 0.5, 0.1)],
)
def test_a_student_exactly_at_the_retention_threshold_passes_at_the_level(n, retention, teacher, new_only):
    both = retention * teacher - new_only
    tables = simulated(n, both, new_only, teacher - both)
    promoted = np.mean([ratio_interval(counts, LEVEL).low > retention for counts in tables])
    assert within_binomial_error(promoted, LEVEL)


@pytest.mark.parametrize(("n", "margin", "new_only"), [(300, 0.05, 0.05), (2000, 0.01, 0.03)])
def test_a_student_exactly_at_the_incumbent_margin_passes_at_the_level(n, margin, new_only):
    tables = simulated(n, 0.7, new_only, new_only + margin)
    promoted = np.mean([difference_interval(counts, LEVEL).low > -margin for counts in tables])
    assert within_binomial_error(promoted, LEVEL)


def test_the_planned_number_of_items_gives_the_planned_power_for_the_ratio():
    rates = PairedCounts(both=743, new_only=50, reference_only=80, neither=127)
    needed = ratio_items_needed(rates, 0.95, LEVEL)
    passed = [ratio_interval(counts, LEVEL).low > 0.95 for counts in simulated(needed, 0.743, 0.05, 0.08)]
    assert np.mean(passed) == pytest.approx(0.8, abs=0.03)


def test_the_planned_number_of_items_gives_the_planned_power_for_the_difference():
    rates = PairedCounts(both=700, new_only=50, reference_only=50, neither=200)
    needed = difference_items_needed(rates, -0.02, LEVEL)
    passed = [difference_interval(counts, LEVEL).low > -0.02 for counts in simulated(needed, 0.7, 0.05, 0.05)]
    assert np.mean(passed) == pytest.approx(0.8, abs=0.03)
