"""Verdicts on scores of which larger ones are better: their intervals, error rate, plan, and what they refuse."""

from math import sqrt

import numpy as np
import pytest
from distillery_gate import Gate, GateInputError, ScoreItems, SliceGate, decide
from distillery_gate.paired_means import fieller_interval, ratio_interval
from distillery_gate.scores import ScoresPair
from scipy import stats

LEVEL = 0.05


def f1(n: int, kept: float, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """F1 of a student and of a teacher: mostly 1, and 0 for the student where it lost all of an item's."""
    teacher = np.where(random.random(n) < 0.6, 1.0, random.beta(2, 2, n))
    return teacher * (random.random(n) < kept), teacher


def items(n: int = 2000, kept: float = 0.98, **others: object) -> ScoreItems:
    student, teacher = f1(n, kept, np.random.default_rng(0))
    return ScoreItems(ids=range(n), teacher=teacher, student=student, **others)


def test_a_student_that_keeps_its_teachers_score_passes_with_its_numbers_in_a_sentence() -> None:
    verdict = decide(items(), Gate(min_retention=0.95, min_score=0.7))
    assert verdict.verdict == "Pass"
    assert [each.name for each in verdict.criteria] == ["retention", "minScore"]
    assert verdict.criteria[0].message.startswith("The student keeps 0.97")
    assert "of the teacher's mean score" in verdict.criteria[0].message
    assert verdict.criteria[1].message.startswith("The student's mean score is 0.7")
    assert {each.metric for each in verdict.measurements} == {"mean score"}


def test_one_that_loses_more_fails_and_on_few_items_nothing_is_known() -> None:
    assert decide(items(kept=0.8), Gate(min_retention=0.95)).verdict == "Fail"
    few = decide(items(40), Gate(min_retention=0.95)).criteria[0]
    assert few.verdict == "Inconclusive"
    assert few.items_needed > 40


def test_with_many_items_the_intervals_are_fiellers_and_the_paired_t() -> None:
    random = np.random.default_rng(1)
    teacher, noise = random.beta(5, 5, size=(2, 400_000))
    student = (teacher + noise) / 2
    pair = ScoresPair(student, teacher)
    assert pair.ratio_interval(LEVEL) == pytest.approx(ratio_interval(student, teacher, LEVEL), abs=1e-6)
    known = stats.ttest_rel(student, teacher).confidence_interval(1 - 2 * LEVEL)
    assert pair.difference_interval(LEVEL) == pytest.approx((known.low, known.high), abs=1e-6)


def test_the_ends_of_the_ratio_are_where_the_statistic_with_the_unseen_items_is_at_its_critical_value() -> None:
    student, teacher = f1(50, 0.9, np.random.default_rng(2))
    n, t, unseen = 50, 1.7, 0.01
    for ratio, sign in zip(fieller_interval(student, teacher, t, unseen), (1, -1), strict=True):
        gains = student - ratio * teacher
        error = sqrt((gains.var(ddof=1) + unseen * (1 + ratio**2)) / n)
        assert gains.mean() / error == pytest.approx(sign * t, abs=1e-9)


@pytest.mark.parametrize("n", [5, 50, 500])
def test_models_that_score_alike_everywhere_show_about_what_a_share_shows(n: int) -> None:
    alike = ScoresPair(np.ones(n), np.ones(n))
    t = stats.t.ppf(1 - LEVEL, n - 1)
    assert 1 - alike.difference_interval(LEVEL).low == pytest.approx(1 + t * t / n, rel=1e-9)
    assert alike.ratio_interval(LEVEL).low <= n / (n + t * t)


def test_a_handful_of_items_on_which_nothing_was_lost_is_no_pass() -> None:
    few = ScoreItems(ids=range(5), teacher=[1.0] * 5, student=[1.0] * 5)
    assert decide(few, Gate(min_retention=0.95)).verdict == "Inconclusive"


@pytest.mark.parametrize(("n", "ratio"), [(10, 0.9), (20, 0.95), (100, 0.9), (500, 0.95)])
def test_a_student_exactly_at_the_threshold_passes_at_most_at_the_level(n: int, ratio: float) -> None:
    draws, random = 1000, np.random.default_rng(3)
    passed = sum(ScoresPair(*f1(n, ratio, random)).ratio_interval(LEVEL).low > ratio for _ in range(draws))
    assert passed / draws < LEVEL + 3 * sqrt(LEVEL * (1 - LEVEL) / draws)


def test_clusters_of_repeated_answers_do_not_pass_as_independent_items() -> None:
    draws, random, passed = 1000, np.random.default_rng(4), 0
    clusters = np.repeat(np.arange(30), 5)
    for _ in range(draws):
        student, teacher = (np.repeat(scores, 5) for scores in f1(30, 0.9, random))
        passed += ScoresPair(student, teacher, clusters).ratio_interval(LEVEL).low > 0.9
    assert passed / draws < LEVEL + 3 * sqrt(LEVEL * (1 - LEVEL) / draws)


def test_equal_scores_repeated_in_clusters_show_what_they_show_once() -> None:
    student, teacher = f1(40, 0.9, np.random.default_rng(5))
    once = ScoresPair(student, teacher)
    thrice = ScoresPair(np.repeat(student, 3), np.repeat(teacher, 3), np.repeat(np.arange(40), 3))
    assert thrice.ratio_interval(LEVEL) == pytest.approx(once.ratio_interval(LEVEL), abs=1e-12)
    assert thrice.difference_interval(LEVEL) == pytest.approx(once.difference_interval(LEVEL), abs=1e-12)


def test_the_planned_items_give_the_planned_power() -> None:
    needed = ScoresPair(*f1(200_000, 0.98, np.random.default_rng(6))).ratio_items_needed(0.95, LEVEL)
    assert needed is not None
    random, draws = np.random.default_rng(7), 600
    passed = sum(ScoresPair(*f1(needed, 0.98, random)).ratio_interval(LEVEL).low > 0.95 for _ in range(draws))
    assert passed / draws == pytest.approx(0.8, abs=0.06)


def test_incumbent_control_and_slices_are_judged_as_with_other_metrics() -> None:
    student, teacher = f1(600, 0.99, np.random.default_rng(0))
    given = ScoreItems(
        ids=range(600), teacher=teacher, student=student, incumbent=student + 0.2, control=student / 2,
        slices=["a", "b"] * 300, contaminated=[True] + [False] * 599,
    )  # fmt: skip
    gate = Gate(min_retention=0.9, incumbent_margin=0.05, slices=SliceGate(min_retention=0.9), max_contamination=0.01)
    verdict = decide(given, gate)
    assert [each.verdict for each in verdict.criteria] == ["Pass", "Fail", "Pass", "Pass"]
    assert verdict.criteria[1].message.startswith("The student's mean score minus the incumbent's is -0.2")
    assert verdict.comparisons[0].value == pytest.approx(student.mean() / 2)


def test_a_student_that_scores_nothing_fails() -> None:
    nothing = ScoreItems(ids=range(50), teacher=[1.0] * 50, student=[0.0] * 50)
    criterion = decide(nothing, Gate(min_retention=0.9)).criteria[0]
    assert (criterion.verdict, criterion.value, criterion.low) == ("Fail", 0.0, 0.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"student": [0.1, -1.0, 0.0]}, "student: item 1 is -1.0; give finite scores from 0"),
        ({"student": [0.1, float("inf"), 0.0]}, "student: item 1 is inf"),
        ({"teacher": [0.1, float("nan"), 0.0]}, "teacher: item 1 is NaN; evaluate that item again"),
        ({"teacher": None}, "teacher: missing; give the score"),
        ({"ids": [1], "teacher": [0.1], "student": [0.2]}, "ids: one item"),
    ],
)
def test_bad_scores_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(GateInputError, match=message):
        ScoreItems(**({"ids": [1, 2, 3], "teacher": [0.1, 0.2, 0.3], "student": [0.1, 0.2, 0.3]} | change))


def test_a_teacher_that_scores_nothing_is_refused() -> None:
    with pytest.raises(GateInputError, match="teacher: scores 0 on all of 3 items"):
        decide(ScoreItems(ids=[1, 2, 3], teacher=[0, 0, 0], student=[0.1, 0.2, 0.3]), Gate(min_retention=0.9))
