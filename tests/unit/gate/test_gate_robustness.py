"""Robustness: what a student loses on changed items, and how many perturbations may be asked about at once."""

from math import sqrt
from typing import Any

import numpy as np
import pytest
from distillery_gate import ErrorItems, EvaluationItems, Gate, GateInputError, RobustnessGate, Verdict, decide
from distillery_gate.verdict import Criterion

LEVEL = 0.05  # of the first look, which spends half of the gate's


def gate(most: float = 0.05, *names: str) -> Gate:
    asked = RobustnessGate(max_accuracy_loss=most, perturbations=list(names) or None)
    return Gate(min_retention=0.1, robustness=asked)


def items(right: int, wrong: int, changed: dict[str, tuple[int, int]], **more: Any) -> EvaluationItems:
    """A student with so many right and wrong answers; by perturbation, how many of each turn to the other."""
    student = np.repeat([True, False], [right, wrong])
    perturbed = {}
    for name, (lost, gained) in changed.items():
        perturbed[name] = student.copy()
        perturbed[name][:lost] = False
        perturbed[name][right : right + gained] = True
    n = right + wrong
    return EvaluationItems(ids=range(n), teacher=[True] * n, student=student, perturbed=perturbed, **more)


def robustness(verdict: Verdict) -> Criterion:
    return next(criterion for criterion in verdict.criteria if criterion.name == "robustness")


def test_a_student_that_falls_apart_under_one_perturbation_fails_whatever_the_others_show() -> None:
    verdict = decide(items(900, 100, {"case": (5, 5), "typos": (300, 10), "truncation": (0, 0)}), gate())
    assert (robustness(verdict).verdict, verdict.verdict) == ("Fail", "Fail")
    assert robustness(verdict).value == pytest.approx(-0.29)
    assert robustness(verdict).threshold == -0.05
    assert "Of 3 perturbations 'typos' is worst: the student's accuracy goes from 0.900 to 0.610" in (
        robustness(verdict).message
    )
    assert "the gate asks for more than -0.05 under each; that is below." in robustness(verdict).message
    assert [(each.name, each.verdict) for each in verdict.perturbations] == [
        ("typos", "Fail"), ("case", "Pass"), ("truncation", "Pass"),
    ]  # fmt: skip


def test_a_student_that_loses_little_under_each_passes() -> None:
    verdict = decide(items(900, 100, {"noise": (20, 5), "blur": (10, 12)}), gate())
    assert robustness(verdict).verdict == "Pass"
    assert {each.verdict for each in verdict.perturbations} == {"Pass"}
    assert robustness(verdict).low == min(each.low for each in verdict.perturbations)
    assert robustness(verdict).items_needed is None


def test_an_undecided_perturbation_says_how_many_items_would_do() -> None:
    verdict = decide(items(90, 10, {"noise": (3, 1), "blur": (0, 0)}), gate())
    assert robustness(verdict).verdict == "Inconclusive"
    assert robustness(verdict).items_needed == verdict.perturbations[0].items_needed > 100
    lost = decide(items(90, 10, {"noise": (7, 1), "blur": (3, 1)}), gate())
    assert (robustness(lost).verdict, robustness(lost).items_needed) == ("Inconclusive", None)
    assert "more items at these rates would not show it" in robustness(lost).message


def test_only_the_perturbations_that_the_gate_names_count() -> None:
    given = items(900, 100, {"case": (5, 5), "typos": (300, 10)})
    assert decide(given, gate(0.05, "case")).verdict == "Pass"
    assert [each.name for each in decide(given, gate(0.05, "case")).perturbations] == ["case"]
    assert decide(given, gate(0.05, "typos")).verdict == "Fail"


def test_the_order_of_the_items_is_of_no_account() -> None:
    given = items(900, 100, {"typos": (40, 3), "case": (1, 0)}, clusters=[f"c{row // 4}" for row in range(1000)])
    shuffled = given.take(np.random.default_rng(0).permutation(1000))
    assert decide(shuffled, gate()) == decide(given, gate())


def test_items_of_a_cluster_say_less_and_the_sentence_counts_clusters() -> None:
    changed = {"typos": (30, 0)}
    alone = decide(items(900, 100, changed), gate()).perturbations[0]
    together = decide(items(900, 100, changed, clusters=[row // 10 for row in range(1000)]), gate()).perturbations[0]
    assert (alone.verdict, together.verdict) == ("Pass", "Inconclusive")
    assert together.high - together.low > 1.5 * (alone.high - alone.low)
    assert "n = 1,000 in 100 clusters" in together.message


def test_no_verdict_is_given_without_answers_to_changed_items() -> None:
    given = items(900, 100, {"typos": (1, 0)})
    with pytest.raises(GateInputError, match=r"robustness: .* to items with case; .*student_case"):
        decide(given, gate(0.05, "typos", "case"))
    with pytest.raises(GateInputError, match=r"robustness: .* to changed items; record them as student_typos"):
        decide(items(900, 100, {}), gate())
    with pytest.raises(GateInputError, match="robustness: "):
        decide(ErrorItems(ids=range(9), teacher=[1.0] * 9, student=[1.0] * 9), gate())


def test_answers_to_changed_items_are_checked_like_others() -> None:
    with pytest.raises(GateInputError, match="student_typos: has 2 results for 3 ids"):
        EvaluationItems(ids=range(3), teacher=[1] * 3, student=[1] * 3, perturbed={"typos": [1, 0]})
    with pytest.raises(GateInputError, match=r"student_typos: item 1 is 0.5"):
        EvaluationItems(ids=range(3), teacher=[1] * 3, student=[1] * 3, perturbed={"typos": [1, 0.5, 0]})


def test_slices_are_cut_with_their_changed_items() -> None:
    given = items(900, 100, {"typos": (40, 3)}, slices=["a", "b"] * 500)
    part = given.take(np.arange(0, 1000, 2))
    assert part.perturbed["typos"].tolist() == given.perturbed["typos"][::2].tolist()


# By perturbation: kept right, gained, lost, kept wrong; a loss of 0.05, of which the gate asks less.
AT_MARGIN, HARMLESS = [0.75, 0.03, 0.08, 0.14], [0.82, 0.01, 0.01, 0.16]


def simulated(rates: list[list[float]], random: np.random.Generator) -> EvaluationItems:
    """Two hundred items, whose perturbations are independent given the student's own answer."""
    right = sum(rates[0][::2])
    student = random.random(200) < right
    chance = random.random((len(rates), 200))
    perturbed = {
        f"p{number}": np.where(student, each >= lost / (kept + lost), each < gained / (gained + wrong))
        for number, ((kept, gained, lost, wrong), each) in enumerate(zip(rates, chance, strict=True))
    }
    return EvaluationItems(ids=range(200), teacher=[True] * 200, student=student, perturbed=perturbed)


@pytest.mark.parametrize(
    ("others", "outcome"), [(HARMLESS, "Pass"), (AT_MARGIN, "Fail")], ids=["one passes wrongly", "five fail wrongly"]
)
def test_however_many_perturbations_there_are_a_student_at_the_margin_is_judged_wrongly_at_most_at_the_level(
    others: list[float], outcome: str
) -> None:
    random = np.random.default_rng(2)
    rates, asked = [AT_MARGIN, *[others] * 4], gate().model_copy(update={"level": 2 * LEVEL})
    wrong = sum(robustness(decide(simulated(rates, random), asked)).verdict == outcome for _ in range(400))
    assert 0.01 < wrong / 400 < LEVEL + 3.5 * sqrt(LEVEL * (1 - LEVEL) / 400)
