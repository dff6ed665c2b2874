"""Verdicts on errors: Fieller's interval for the ratio, Student's for the difference, and what they refuse."""

from math import sqrt

import numpy as np
import pytest
from distillery_gate import ErrorItems, Gate, GateInputError, decide
from distillery_gate.paired_means import LARGEST_RATIO, items_needed, ratio_interval
from distillery_gate.sums import mean_of_units_interval
from scipy import stats

LEVEL = 0.05
GATE = Gate(min_retention=0.9)


def errors(n: int, scale: float = 1.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Errors of a teacher and of a student whose errors are `scale` times as large; correlated."""
    random = np.random.default_rng(seed)
    shared = np.abs(random.normal(size=n))
    return shared + 0.2 * np.abs(random.normal(size=n)), scale * (shared + 0.2 * np.abs(random.normal(size=n)))


def items(n: int = 2000, scale: float = 1.0, **others: np.ndarray) -> ErrorItems:
    teacher, student = errors(n, scale)
    return ErrorItems(ids=range(n), teacher=teacher, student=student, **others)


def test_an_equal_student_passes_with_its_numbers_in_a_sentence() -> None:
    verdict = decide(items(), GATE)
    [retention] = verdict.criteria
    assert verdict.verdict == "Pass"
    assert retention.low < 1 < retention.high
    assert retention.message.startswith("The teacher's mean absolute error is 1.0")
    assert "of the student's (95 % interval" in retention.message
    assert [(model.name, model.metric) for model in verdict.measurements] == [
        ("teacher", "mean absolute error"),
        ("student", "mean absolute error"),
    ]


def test_a_student_with_larger_errors_fails_and_on_few_items_nothing_is_known() -> None:
    assert decide(items(scale=1.3), GATE).verdict == "Fail"
    few = decide(items(20), GATE)
    assert few.verdict == "Inconclusive"
    assert few.criteria[0].items_needed is not None


def test_the_ends_of_the_ratio_interval_are_where_the_paired_t_test_is_at_its_level() -> None:
    teacher, student = errors(50)
    for end, side in zip(ratio_interval(teacher, student, LEVEL), ("greater", "less"), strict=True):
        test = stats.ttest_1samp(teacher - end * student, 0, alternative=side)
        assert test.pvalue == pytest.approx(LEVEL, abs=1e-9)


def test_the_difference_interval_is_the_paired_t_interval() -> None:
    teacher, student = errors(50)
    expected = stats.ttest_rel(teacher, student).confidence_interval(1 - 2 * LEVEL)
    found = mean_of_units_interval(teacher - student, np.ones(50), LEVEL)
    assert found == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize(("n", "ratio"), [(100, 0.9), (1000, 0.95)])
def test_a_student_exactly_at_the_threshold_passes_at_about_the_level(n: int, ratio: float) -> None:
    draws = 2000
    random = np.random.default_rng(1)
    passed = 0
    for _ in range(draws):
        teacher = random.exponential(size=n)
        student = 0.5 * teacher / ratio + 0.5 * random.exponential(size=n) / ratio
        passed += ratio_interval(teacher, student, LEVEL).low > ratio
    assert passed / draws < LEVEL + 3.5 * sqrt(LEVEL * (1 - LEVEL) / draws) + 0.01  # errors are skewed


def test_the_planned_items_give_the_planned_power() -> None:
    teacher, student = errors(400_000, scale=1.02)
    needed = items_needed(teacher - 0.95 * student, LEVEL)
    assert needed is not None
    passed = 0
    for seed in range(1, 601):
        teacher, student = errors(needed, scale=1.02, seed=seed)
        passed += ratio_interval(teacher, student, LEVEL).low > 0.95
    assert passed / 600 == pytest.approx(0.8, abs=0.07)


def test_a_student_without_errors_keeps_everything() -> None:
    teacher, _ = errors(100)
    [retention] = decide(ErrorItems(ids=range(100), teacher=teacher, student=np.zeros(100)), GATE).criteria
    assert (retention.verdict, retention.value) == ("Pass", LARGEST_RATIO)


def test_two_items_leave_the_ratio_without_bounds_rather_than_wrong() -> None:
    low, high = ratio_interval(np.array([1.0, 2.0]), np.array([0.1, 3.0]), LEVEL)
    assert low < 1 < high == LARGEST_RATIO


def test_the_incumbent_is_compared_in_the_unit_of_the_scores() -> None:
    teacher, student = errors(2000)
    worse = ErrorItems(ids=range(2000), teacher=teacher, student=student, incumbent=np.maximum(student - 0.3, 0))
    verdict = decide(worse, Gate(min_retention=0.5, incumbent_margin=0.05))
    incumbent = verdict.criteria[1]
    assert (incumbent.verdict, incumbent.threshold) == ("Fail", -0.05)
    assert incumbent.message.startswith("The incumbent's mean absolute error minus the student's is -0.")
    assert decide(worse, Gate(min_retention=0.5, incumbent_margin=0.5)).verdict == "Pass"


def test_a_control_is_compared_and_decides_nothing() -> None:
    teacher, student = errors(500)
    verdict = decide(ErrorItems(ids=range(500), teacher=teacher, student=student, control=student + 1), GATE)
    assert verdict.comparisons[0].value == pytest.approx(1)
    assert len(verdict.criteria) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"student": [0.1, -1.0, 0.0]}, r"student: item 1 is -1.0; give \|answer - gold\|"),
        ({"student": [0.1, float("inf"), 0.0]}, "student: item 1 is inf"),
        ({"teacher": [0.1, float("nan"), 0.0]}, "teacher: item 1 is NaN; evaluate that item again"),
        ({"teacher": None}, "teacher: missing; give the absolute error"),
        ({"ids": [1], "teacher": [0.1], "student": [0.2]}, "ids: one item"),
    ],
)
def test_bad_errors_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(GateInputError, match=message):
        ErrorItems(**({"ids": [1, 2, 3], "teacher": [0.1, 0.2, 0.3], "student": [0.1, 0.2, 0.3]} | change))


def test_a_teacher_without_any_error_is_refused() -> None:
    with pytest.raises(GateInputError, match="teacher: without any error on 3 items"):
        decide(ErrorItems(ids=[1, 2, 3], teacher=[0, 0, 0], student=[0.1, 0.2, 0.3]), GATE)
