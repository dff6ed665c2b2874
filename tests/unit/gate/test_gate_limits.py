"""Criteria that need no teacher to compare with: absolute values, negative flips, and a teacher above chance."""

from math import exp

import numpy as np
import pytest
from distillery_gate import ErrorItems, EvaluationItems, Gate, GateInputError, LikelihoodItems, Verdict, decide
from distillery_gate.proportion import share_interval, share_items_needed
from distillery_gate.verdict import Criterion
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint

LOOSE = {"min_retention": 0.01}


def share(n: int, right: int) -> np.ndarray:
    return np.arange(n) < right


def accuracy(n: int, right: int, **more: object) -> EvaluationItems:
    return EvaluationItems(ids=range(n), teacher=share(n, n), student=share(n, right), **more)


def named(verdict: Verdict, name: str) -> Criterion:
    return next(criterion for criterion in verdict.criteria if criterion.name == name)


@given(st.integers(1, 3000), st.floats(0, 1), st.sampled_from([0.001, 0.05, 0.2]))
@settings(max_examples=100, deadline=None)
def test_shares_of_independent_items_have_the_exact_interval_of_statsmodels(n, part, level):
    found = round(part * n)
    expected = proportion_confint(found, n, alpha=2 * level, method="beta")
    assert share_interval(share(n, found), None, level) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("right", "outcome"), [(850, "Pass"), (805, "Inconclusive"), (750, "Fail")])
def test_an_accuracy_must_be_shown_to_exceed_its_floor(right, outcome):
    criterion = named(decide(accuracy(1000, right), Gate(**LOOSE, min_accuracy=0.8)), "minAccuracy")
    assert criterion.verdict == outcome
    assert criterion.message.startswith(f"The student's accuracy is {right / 1000:.3f} (95 % interval ")
    assert "the gate asks for more than 0.8" in criterion.message


def test_the_items_that_an_undecided_accuracy_needs_would_show_it():
    needed = named(decide(accuracy(1000, 805), Gate(**LOOSE, min_accuracy=0.8)), "minAccuracy").items_needed
    draws = np.random.default_rng(1).binomial(needed, 0.805, size=2000)
    passed = [share_interval(share(needed, found), None, 0.025).low > 0.8 for found in draws[:400]]
    assert np.mean(passed) == pytest.approx(0.8, abs=0.06)


@pytest.mark.parametrize(("scale", "outcome"), [(0.9, "Pass"), (1.0, "Inconclusive"), (1.2, "Fail")])
def test_a_mean_error_must_be_shown_to_be_below_its_ceiling(scale, outcome):
    errors = np.random.default_rng(2).exponential(size=2000)
    errors *= scale / errors.mean()
    items = ErrorItems(ids=range(2000), teacher=errors, student=errors)
    criterion = named(decide(items, Gate(**LOOSE, max_mean_absolute_error=1.01)), "maxMeanAbsoluteError")
    assert criterion.verdict == outcome
    assert "the gate asks for less than 1.01" in criterion.message
    assert (criterion.items_needed is not None) == (outcome == "Inconclusive")


@pytest.mark.parametrize(("most", "outcome"), [(60, "Pass"), (50.2, "Inconclusive"), (40, "Fail")])
def test_a_perplexity_must_be_shown_to_be_below_its_ceiling(most, outcome):
    nats = np.random.default_rng(3).normal(np.log(50), 0.3, size=100)
    nats += np.log(50) - nats.mean()
    items = LikelihoodItems(ids=range(100), tokens=np.full(100, 64), teacher=nats * 64, student=nats * 64)
    criterion = named(decide(items, Gate(**LOOSE, max_perplexity=most)), "maxPerplexity")
    assert (criterion.verdict, criterion.value) == (outcome, pytest.approx(exp(np.log(50))))


@pytest.mark.parametrize(
    "limit", [{"max_perplexity": 50.0}, {"max_mean_absolute_error": 0.5}, {"max_negative_flips": 0.1, "errors": True}]
)
def test_a_limit_on_a_metric_that_the_items_do_not_have_gives_no_verdict(limit):
    errors = limit.pop("errors", False)
    items = ErrorItems(ids=range(9), teacher=[1.0] * 9, student=[1.0] * 9) if errors else accuracy(100, 90)
    with pytest.raises(GateInputError, match="leave it out"):
        decide(items, Gate(**LOOSE, **limit))


@pytest.mark.parametrize(("flips", "outcome"), [(2, "Pass"), (18, "Inconclusive"), (60, "Fail")])
def test_what_was_right_before_must_stay_right(flips, outcome):
    incumbent = share(1000, 800)
    student = incumbent.copy()
    student[:flips], student[800 : 800 + flips] = False, True  # as accurate as before
    items = EvaluationItems(ids=range(1000), teacher=share(1000, 990), student=student, incumbent=incumbent)
    criterion = named(decide(items, Gate(**LOOSE, max_negative_flips=0.02)), "negativeFlips")
    assert (criterion.verdict, criterion.value) == (outcome, flips / 1000)
    assert criterion.message.startswith("The incumbent is right and the student wrong on ")
    assert (criterion.items_needed is not None) == (outcome == "Inconclusive")


def test_where_nothing_serves_yet_flips_are_those_from_the_teacher():
    criterion = named(decide(accuracy(1000, 700), Gate(**LOOSE, max_negative_flips=0.02)), "negativeFlips")
    assert (criterion.verdict, criterion.value) == ("Fail", 0.3)
    assert criterion.message.startswith("The teacher is right and the student wrong on 0.300 of the items")


def test_more_items_do_not_help_where_too_many_flip():
    hits = share(1000, 20)
    assert share_items_needed(hits, None, 0.02, 0.05, above=False) is None
    assert share_items_needed(hits, None, 0.03, 0.05, above=False) > 100


def test_a_teacher_that_is_not_shown_to_be_above_chance_gives_no_verdict():
    guess = EvaluationItems(ids=range(1000), teacher=share(1000, 260), student=share(1000, 255))
    with pytest.raises(GateInputError, match=r"teacher: accuracy 0.260 .* is not shown to be above chance, 0.25"):
        decide(guess, Gate(min_retention=0.9, chance_accuracy=0.25))
    assert decide(guess, Gate(min_retention=0.9, chance_accuracy=0.2)).criteria[0].name == "retention"
    with pytest.raises(GateInputError, match="chanceAccuracy: the items have mean absolute error"):
        decide(ErrorItems(ids=range(9), teacher=[1.0] * 9, student=[1.0] * 9), Gate(**LOOSE, chance_accuracy=0.2))
