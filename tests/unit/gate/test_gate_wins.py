"""Win rates by a judge: intervals beside known ones, error rate, swapped positions, and what is refused."""

from math import sqrt

import numpy as np
import pytest
from distillery_gate import Gate, GateInputError, SliceGate, WinItems, decide, items_of
from distillery_gate.paired_counts import PairedCounts
from distillery_gate.paired_difference import difference_interval
from distillery_gate.paired_means import LARGEST_RATIO
from distillery_gate.wins import WinsPair
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

LEVEL = 0.05


def points(wins: int, ties: int, losses: int) -> np.ndarray:
    return np.array([1.0] * wins + [0.5] * ties + [0.0] * losses)


def items(*counts: int, **others: object) -> WinItems:
    return WinItems(ids=range(sum(counts)), student=points(*counts), **others)


def test_a_student_that_is_shown_to_win_often_enough_passes_both_ways_of_asking() -> None:
    verdict = decide(items(500, 300, 200), Gate(min_retention=0.95, min_win_rate=0.6))
    retention, win_rate = verdict.criteria
    assert verdict.verdict == "Pass"
    assert (retention.value, win_rate.value) == (pytest.approx(0.65 / 0.35), 0.65)
    assert retention.message.startswith("The student has 1.857 points for each of the reference's, half a point for")
    assert win_rate.message.startswith("The student's win rate is 0.650 (95 % interval 0.6")
    assert [(each.name, each.value) for each in verdict.measurements] == [
        ("teacher", pytest.approx(0.35)), ("student", 0.65),
    ]  # fmt: skip


def test_one_that_loses_fails_and_a_few_judgments_show_nothing() -> None:
    assert decide(items(200, 300, 500), Gate(min_retention=0.95)).verdict == "Fail"
    few = decide(items(8, 5, 7), Gate(min_retention=0.95)).criteria[0]
    assert few.verdict == "Inconclusive"
    assert few.items_needed > 20


def test_the_interval_is_tangos_for_wins_less_losses() -> None:
    low, high = WinsPair(points(30, 50, 20), None).rate_interval(LEVEL)
    expected = difference_interval(PairedCounts(0, 30, 20, 50), LEVEL)
    assert (low, high) == pytest.approx(((1 + expected.low) / 2, (1 + expected.high) / 2), abs=1e-12)


@pytest.mark.parametrize(("wins", "losses"), [(0, 7), (7, 0), (1, 0), (30, 21)])
def test_without_ties_the_interval_is_exact(wins: int, losses: int) -> None:
    n = wins + losses
    known = stats.binomtest(wins, n).proportion_ci(1 - 2 * LEVEL, "exact")
    assert WinsPair(points(wins, 0, losses), None).rate_interval(LEVEL) == pytest.approx(
        (known.low, known.high), abs=1e-9
    )


@pytest.mark.parametrize("each", [1, 3])
def test_clusters_without_ties_have_wilsons_interval_widened(each: int) -> None:
    won = np.array([1.0, 0.0, 1.0, 1.0] * 25)
    pair = WinsPair(np.repeat(won, each), np.repeat(np.arange(100), each))
    known = proportion_confint(75, 100, 2 * LEVEL, method="wilson")
    low, high = pair.rate_interval(LEVEL)
    assert (low, high) == pytest.approx(known, abs=0.005)  # by t in place of z
    assert low < known[0]


def test_ties_alone_are_half_of_the_points() -> None:
    low, high = WinsPair(points(0, 40, 0), None).rate_interval(LEVEL)
    assert low < 0.5 < high
    assert low == pytest.approx(1 - high)


def test_a_student_that_always_wins_has_all_points() -> None:
    criterion = decide(items(60, 0, 0), Gate(min_retention=0.95)).criteria[0]
    assert (criterion.verdict, criterion.value, criterion.high) == ("Pass", LARGEST_RATIO, LARGEST_RATIO)


@pytest.mark.parametrize(("n", "rate", "ties"), [(40, 0.5, 0.5), (100, 0.487, 0.2), (400, 0.6, 0.3)])
def test_a_student_exactly_at_the_threshold_passes_at_the_level(n: int, rate: float, ties: float) -> None:
    draws = 1500
    drawn = np.random.default_rng(1).multinomial(n, [rate - ties / 2, ties, 1 - rate - ties / 2], size=draws)
    passed = np.mean([WinsPair(points(*row), None).rate_interval(LEVEL).low > rate for row in drawn])
    assert abs(passed - LEVEL) < 3 * sqrt(LEVEL * (1 - LEVEL) / draws) + 0.005


def test_the_planned_judgments_give_the_planned_power() -> None:
    needed = items(400, 300, 300).items_needed(0.5, LEVEL)
    drawn = np.random.default_rng(2).multinomial(needed, [0.4, 0.3, 0.3], size=800)
    passed = np.mean([WinsPair(points(*row), None).rate_interval(LEVEL).low > 0.5 for row in drawn])
    assert passed == pytest.approx(0.8, abs=0.04)


def test_both_orders_must_agree_or_it_is_a_tie() -> None:
    judged = {
        "judge": ["student", "student", "tie", "reference", "reference"],
        "judge_swapped": ["student", "reference", "student", "tie", "reference"],
    }
    assert items_of("win rate", judged).student.tolist() == [1, 0.5, 0.5, 0.5, 0]
    assert items_of("win rate", {"judge": judged["judge"]}).student.tolist() == [1, 1, 0.5, 0, 0]


def test_judgments_of_one_item_by_rows_are_one_cluster() -> None:
    judged = {"judge": ["student", "reference"] * 30, "cluster": [row // 2 for row in range(60)]}
    assert decide(items_of("win rate", judged), Gate(min_retention=0.5)).criteria[0].clusters == 30


def test_slices_are_judged_by_themselves() -> None:
    verdict = decide(
        items(300, 0, 300, slices=["good"] * 300 + ["bad"] * 300),
        Gate(min_retention=0.5, slices=SliceGate(min_retention=0.9)),
    )
    assert [(each.name, each.verdict) for each in verdict.slices] == [("bad", "Fail"), ("good", "Pass")]


def test_what_the_student_is_worth_without_items_that_it_learned_from_is_told() -> None:
    judged = {"judge": ["student"] * 50 + ["reference"] * 50, "contaminated": [1] * 50 + [0] * 50}
    criteria = decide(items_of("win rate", judged), Gate(min_retention=0.5, max_contamination=0.1)).criteria
    assert criteria[1].message.startswith("50 of 100 items, a share of 0.500, stand in what the student learned from")
    assert "its win rate is 0.500 with them and 0.000 without" in criteria[1].message


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"judge": ["student", "A"]}, "judge: item 1 has 'A'; give one of student, tie, reference"),
        ({"judge": ["student", None]}, "judge: item 1 has None"),
        ({"judge": ["tie"], "judge_swapped": [1]}, "judge_swapped: item 0 has 1"),
        ({"judge": ["tie"], "judge_swapped": ["tie"] * 2}, "judge_swapped: has 2 values for 1 of judge"),
        ({"student": ["a"]}, "judge: no such column, only student"),
        ({"judge": ["tie"], "incumbent": ["a"]}, "incumbent: a win rate has no such model; judge the student against"),
        ({"judge": []}, "ids: there are no items"),
    ],
)
def test_judgments_that_say_nothing_are_refused(columns: dict[str, list[object]], message: str) -> None:
    with pytest.raises(GateInputError, match=message):
        items_of("win rate", columns)


@pytest.mark.parametrize("given", [[1, 0.7], [1, 2], [1, float("nan")], ["student", "tie"]])
def test_points_are_of_wins_ties_and_losses_alone(given: list[object]) -> None:
    with pytest.raises(GateInputError, match="student: "):
        WinItems(ids=range(2), student=given)
