"""What a verdict may err, when it is not the first on its test set, or is taken in stages."""

import numpy as np
import pytest
from distillery_gate import EvaluationItems, Gate, Look, decide
from distillery_gate.looks import stage_levels
from pydantic import ValidationError
from scipy.stats import multivariate_normal, norm

GATE = Gate(min_retention=0.9)


def items(n: int = 2000, student: float = 0.9) -> EvaluationItems:
    """A teacher that is always right and a student that is right on a share of the items."""
    right = np.arange(n) < student * n
    return EvaluationItems(ids=range(n), teacher=np.ones(n), student=right)


def test_all_verdicts_on_one_test_set_spend_the_level_of_the_gate_between_them() -> None:
    spent = [Look(number=number).level(0.05) for number in range(1, 10_000)]
    assert spent[:4] == pytest.approx([0.025, 0.05 / 6, 0.05 / 12, 0.05 / 20])
    assert 0.04999 < sum(spent) < 0.05


def test_a_later_verdict_on_the_same_items_asks_for_more_evidence() -> None:
    shown = items(student=0.914)
    assert [decide(shown, GATE, Look(number=number)).verdict for number in (1, 2)] == ["Pass", "Inconclusive"]


def test_the_sentences_tell_the_coverage_of_the_interval_of_that_look() -> None:
    first, second = (decide(items(), GATE, Look(number=number)) for number in (1, 2))
    assert "(95 % interval" in first.criteria[0].message
    assert "(98.33 % interval" in second.criteria[0].message
    assert (second.level, second.look.number) == (pytest.approx(0.05 / 6), 2)
    assert second.criteria[0].low < first.criteria[0].low


@pytest.mark.parametrize("shares", [(0.5, 1.0), (0.2, 0.4, 1.0), (0.05, 0.1, 0.2, 0.4, 0.8, 1.0)])
@pytest.mark.parametrize("level", [0.025, 0.001])
def test_the_bounds_of_all_stages_are_crossed_by_chance_as_often_as_the_level_says(
    shares: tuple[float, ...], level: float
) -> None:
    bounds, times = norm.isf(stage_levels(level, shares)), np.array(shares)
    correlations = np.sqrt(np.minimum.outer(times, times) / np.maximum.outer(times, times))
    normal = multivariate_normal(cov=correlations, abseps=1e-8, releps=1e-8, maxpts=2_000_000, seed=1)  # type: ignore[call-arg]
    assert 1 - normal.cdf(bounds) == pytest.approx(level, abs=2e-7)


def test_two_stages_have_the_bounds_of_the_bivariate_normal() -> None:
    first, second = norm.isf(stage_levels(0.025, (0.5, 1.0)))
    assert norm.sf(first) == pytest.approx(0.025 / 4)
    both = multivariate_normal(cov=np.array([[1, 0.5**0.5], [0.5**0.5, 1]]))
    assert both.cdf([first, second]) == pytest.approx(0.975, abs=1e-9)


def test_a_stage_in_between_costs_the_last_one_little() -> None:
    assert stage_levels(0.025, (0.1, 0.2, 0.4, 0.8, 1.0))[-1] > 0.7 * 0.025


def test_the_intervals_of_stages_are_as_wide_as_the_pages_say() -> None:
    first, *_, last = stage_levels(0.025, (0.1, 0.2, 0.4, 0.8, 1.0))
    assert (f"{100 - 200 * first:.2f}", f"{100 - 200 * last:.1f}") == ("99.95", "96.4")


def test_a_single_stage_spends_all_of_its_part() -> None:
    assert Look(number=3).level(0.06) == 0.06 / 12
    assert stage_levels(0.025, (1.0,)) == pytest.approx([0.025], rel=1e-9)


def test_looks_after_very_many_others_still_have_a_level() -> None:
    assert 0 < Look(number=100_000, shares=(0.001, 1.0)).level(0.01) < 1e-11


@pytest.mark.parametrize("given", [{"number": 0}, {"shares": ()}, {"shares": (0.5, 0.5)}, {"shares": (0.5, 1.1)},
                                   {"shares": (0.0, 1.0)}, {"shares": (float("nan"),)}, {"look": 1}])  # fmt: skip
def test_what_is_no_look_is_refused(given: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Look.model_validate(given)


def test_a_look_is_read_from_its_json() -> None:
    look = Look(number=2, shares=(0.25, 0.5))
    assert Look.model_validate(look.model_dump(mode="json")) == look
