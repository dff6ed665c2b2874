"""Bounds of quantiles by order statistics: scipy's, of the stated coverage, and the answers that they need."""

from math import ceil, log

import numpy as np
import pytest
from distillery_gate import Look
from distillery_gate.order_statistics import LONGEST, fewest, quantile_interval, upper_rank, values_needed
from scipy.stats import binom, quantile_test

SHARES, LEVELS = (0.5, 0.9, 0.99), (0.2, 0.05, 0.025, 0.001)


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("n", [700, 1000, 5003])
def test_the_bounds_are_those_of_scipy(share: float, level: float, n: int) -> None:
    sample = np.random.default_rng(n).lognormal(size=n)
    found = quantile_interval(sample, share, level)
    sides = [quantile_test(sample, p=share, alternative=side) for side in ("greater", "less")]
    assert found.low == sides[0].confidence_interval(1 - level).low
    assert found.high == sides[1].confidence_interval(1 - level).high


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("n", [5, 44, 299, 1000, 100_000])
def test_the_upper_rank_is_the_first_that_the_binomial_allows(share: float, level: float, n: int) -> None:
    rank = upper_rank(n, share, level)
    assert rank == n + 1 or binom.sf(rank - 1, n, share) <= level
    assert binom.sf(rank - 2, n, share) > level


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("level", LEVELS)
def test_the_fewest_values_are_the_first_with_a_bound(share: float, level: float) -> None:
    n = fewest(share, level)
    assert n == max(2, ceil(log(level) / log(share)))
    assert upper_rank(n, share, level) <= n
    assert n == 2 or upper_rank(n - 1, share, level) == n
    assert n == 2 or quantile_interval(np.ones(n - 1), share, level).high == LONGEST
    assert quantile_interval(np.ones(n), share, level).high == 1


def test_a_p99_needs_as_many_answers_as_the_documents_say() -> None:
    assert [fewest(0.99, level) for level in (0.05, 0.025, 0.01)] == [299, 368, 459]
    assert [fewest(0.99, Look(number=number).level(0.05)) for number in (1, 2, 10)] == [368, 477, 766]


def missed(samples: np.ndarray, truth: float, level: float) -> tuple[float, float]:
    """Shares of samples whose lower and upper bounds are beyond the quantile."""
    found = np.array([quantile_interval(sample, 0.99, level) for sample in samples])
    return float((found[:, 0] > truth).mean()), float((found[:, 1] < truth).mean())


@pytest.mark.parametrize("n", [300, 1000])
def test_a_bound_errs_at_most_at_the_level(n: int) -> None:
    samples = np.random.default_rng(7).exponential(size=(2000, n))
    low, high = missed(samples, -np.log(0.01), 0.05)
    allowed = 0.05 + 3 * (0.05 * 0.95 / 2000) ** 0.5
    assert low <= allowed
    assert 0.005 < high <= allowed  # it errs, so the test looks at something


def test_a_bound_of_the_times_of_few_inputs_in_turn_errs_no_more() -> None:
    """Fifty inputs of very different length, twenty answers each; the quantile is that of all their answers."""
    random = np.random.default_rng(3)
    scale = np.tile(np.linspace(1, 10, 50), 20)
    truth = float(np.quantile(random.exponential(size=(2000, 1000)) * scale, 0.99))
    low, high = missed(random.exponential(size=(2000, 1000)) * scale, truth, 0.05)
    assert max(low, high) <= 0.05 + 3 * (0.05 * 0.95 / 2000) ** 0.5


@pytest.mark.parametrize("below", [0.993, 0.996, 0.9999, 1.0])
@pytest.mark.parametrize("level", LEVELS)
def test_the_values_needed_show_it_with_eighty_percent_power_and_fewer_hardly(below: float, level: float) -> None:
    n = values_needed(below, 0.99, level)
    assert n is not None

    def power(count: int) -> float:
        return float(binom.sf(upper_rank(count, 0.99, level) - 1, count, below))

    assert power(n) >= 0.8
    assert n == fewest(0.99, level) or max(power(n - step) for step in range(1, 4)) < 0.86


def test_no_number_of_values_shows_a_quantile_that_is_not_below() -> None:
    assert values_needed(0.99, 0.99, 0.05) is None
    assert values_needed(0.5, 0.99, 0.05) is None
    assert values_needed(0.99 + 1e-9, 0.99, 0.05) is None
