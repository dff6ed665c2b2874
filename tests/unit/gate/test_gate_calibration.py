"""Calibration: a model that is as often right as it says, one that is not, and what noise does."""

from math import sqrt

import numpy as np
import pytest
from distillery_gate import ErrorItems, EvaluationItems, Gate, GateInputError, SliceGate, decide, items_of
from distillery_gate.calibration import bins, brier_score, calibration_error
from distillery_gate.verdict import Criterion, Verdict

LEVEL = 0.05  # of the first look, which spends half of the gate's
ASKED = Gate(min_retention=0.01, max_calibration_error=0.05, level=2 * LEVEL)


def evaluated(n: int, seed: int, overconfident: float = 0.0, **more: object) -> EvaluationItems:
    """A student whose confidence is that much above how often it is right."""
    random = np.random.default_rng(seed)
    confidence = random.uniform(0.6, 0.95, n)
    right = random.random(n) < confidence - overconfident
    return EvaluationItems(
        ids=range(n), teacher=np.ones(n, bool), student=right, confidences={"student": confidence}, **more
    )


def criterion(verdict: Verdict) -> Criterion:
    return next(each for each in verdict.criteria if each.name == "calibrationError")


def test_the_error_is_the_mean_distance_of_accuracy_and_confidence_over_bins() -> None:
    confidence = np.repeat([0.6, 0.9], 40)
    right = np.concatenate([np.arange(40) < 30, np.arange(40) < 32])  # 0.75 and 0.8
    error, _ = calibration_error(right, confidence, None, LEVEL)
    assert error == pytest.approx((0.15 + 0.1) / 2)
    assert brier_score(right, confidence) == pytest.approx((30 * 0.4**2 + 10 * 0.6**2 + 32 * 0.1**2 + 8 * 0.9**2) / 80)


def test_bins_hold_about_equally_many_items_and_never_part_equal_confidences() -> None:
    random = np.random.default_rng(1)
    sizes = [len(each.places) for each in bins(random.random(3000) < 0.5, random.random(3000))]
    assert sizes == [200] * 15
    ties = np.round(random.random(3000), 1)
    values = [value for each in bins(ties > 0.5, ties) for value in np.unique(ties[each.places])]
    assert sorted(values) == np.unique(ties).tolist()  # each in one bin
    [only] = bins(np.ones(15, bool), np.full(15, 0.9))
    assert (len(only.places), only.confidence, only.accuracy) == (15, pytest.approx(0.9), 1.0)


@pytest.mark.parametrize(("overconfident", "outcome"), [(0.0, "Pass"), (0.045, "Inconclusive"), (0.15, "Fail")])
def test_a_student_that_claims_too_much_fails(overconfident: float, outcome: str) -> None:
    found = criterion(decide(evaluated(4000, 2, overconfident), ASKED))
    assert found.verdict == outcome
    assert found.message.startswith(f"The student's confidence and its accuracy differ by {found.value:.3f} on average")
    assert found.items_needed is None or outcome == "Inconclusive"


def test_a_calibrated_student_on_few_items_is_not_taken_for_a_bad_one() -> None:
    outcomes = [criterion(decide(evaluated(150, seed), ASKED)).verdict for seed in range(200)]
    assert outcomes.count("Fail") <= 200 * LEVEL


def test_a_student_exactly_at_the_limit_passes_at_most_at_the_level() -> None:
    passed = [criterion(decide(evaluated(1500, seed, 0.05), ASKED)).verdict == "Pass" for seed in range(400)]
    assert np.mean(passed) < LEVEL + 3.5 * sqrt(LEVEL * (1 - LEVEL) / 400)


def test_neither_order_nor_ties_matter() -> None:
    items = evaluated(500, 3)
    confidence = np.round(items.confidences["student"], 2)
    order = np.random.default_rng(4).permutation(500)
    mixed, interval = calibration_error(items.student[order], confidence[order], None, LEVEL)
    expected, bounds = calibration_error(items.student, confidence, None, LEVEL)
    assert (mixed, *interval) == pytest.approx((expected, *bounds))


def test_clusters_widen_the_interval() -> None:
    items = evaluated(100, 5, 0.1)
    many = [np.repeat(each, 10) for each in (items.student, items.confidences["student"])]
    _, alone = calibration_error(*many, None, LEVEL)
    _, grouped = calibration_error(*many, np.repeat(np.arange(100), 10), LEVEL)
    assert grouped.high - grouped.low > 1.5 * (alone.high - alone.low)


def test_every_model_whose_confidence_is_recorded_is_told_of_and_slices_keep_theirs() -> None:
    columns = {
        "gold": ["a"] * 200, "teacher": ["a"] * 200, "student": ["a"] * 150 + ["b"] * 50,
        "student_confidence": [0.8] * 200, "teacher_confidence": [1.0] * 200, "slice": ["x", "y"] * 100,
    }  # fmt: skip
    verdict = decide(items_of("accuracy", columns), Gate(min_retention=0.1, slices=SliceGate(min_retention=0.1)))
    assert [(each.name, each.error) for each in verdict.calibration] == [
        ("teacher", 0.0), ("student", pytest.approx(0.05)),
    ]  # fmt: skip
    part = items_of("accuracy", columns).take(np.arange(10))
    assert part.confidences["student"].tolist() == [0.8] * 10


def test_without_confidences_a_gate_that_asks_gives_no_verdict() -> None:
    with pytest.raises(GateInputError, match="maxCalibrationError: the items have no confidence of the student"):
        decide(EvaluationItems(ids=range(9), teacher=[1] * 9, student=[1] * 9), ASKED)
    with pytest.raises(GateInputError, match="or leave it out"):
        decide(ErrorItems(ids=range(9), teacher=[1.0] * 9, student=[1.0] * 9), ASKED)


@pytest.mark.parametrize("strange", [-0.1, 1.1, float("nan")])
def test_a_confidence_that_is_no_probability_is_refused(strange: float) -> None:
    with pytest.raises(GateInputError, match="student_confidence: item 1 is"):
        EvaluationItems(ids=range(2), teacher=[1, 1], student=[1, 0], confidences={"student": [0.5, strange]})
