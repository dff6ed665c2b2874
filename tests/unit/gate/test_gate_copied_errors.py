"""Mistakes that a student has from its teacher, beyond those that the control makes too."""

from math import sqrt

import numpy as np
import pytest
from distillery_gate import ErrorItems, EvaluationItems, Gate, GateInputError, Verdict, decide, items_of
from distillery_gate.verdict import Comparison, Criterion

LEVEL = 0.05  # of the first look, which spends half of the gate's
ASKED = Gate(min_retention=0.5, max_copied_errors=0.02, level=2 * LEVEL)
N = 2000


def answers(student_copies: int, control_copies: int) -> dict[str, list[str]]:
    """The teacher is wrong on 300 of 2,000 rows; student and control repeat that on the first so many of them."""

    def of(copies: int) -> list[str]:
        return ["wrong"] * copies + ["other"] * (300 - copies) + ["right"] * (N - 300)

    columns = {"teacher": of(300), "student": of(student_copies), "control": of(control_copies)}
    return {"gold": ["right"] * N, **columns}


def criterion(verdict: Verdict) -> Criterion:
    return next(each for each in verdict.criteria if each.name == "copiedErrors")


def comparison(verdict: Verdict) -> Comparison | None:
    return next((each for each in verdict.comparisons if each.name == "copiedErrors"), None)


@pytest.mark.parametrize(("student", "outcome"), [(110, "Pass"), (138, "Inconclusive"), (260, "Fail")])
def test_a_student_may_repeat_its_teachers_mistakes_little_more_than_the_control(student: int, outcome: str) -> None:
    found = criterion(decide(items_of("accuracy", answers(student, 100)), ASKED))
    assert (found.verdict, found.value) == (outcome, pytest.approx((student - 100) / N))
    assert found.message.startswith(
        f"The student repeats a mistake of its teacher on {student / N:.3f} of the items and the control on 0.050"
    )
    assert (found.items_needed is not None) == (outcome == "Inconclusive")


def test_a_wrong_answer_that_is_not_the_teachers_is_no_copy() -> None:
    found = criterion(decide(items_of("accuracy", answers(0, 0)), ASKED))
    assert (found.verdict, found.value) == ("Pass", 0)


def test_where_the_gate_does_not_ask_the_copies_are_told_and_decide_nothing() -> None:
    verdict = decide(items_of("accuracy", answers(260, 100)), Gate(min_retention=0.5))
    assert [each.name for each in verdict.criteria] == ["retention"]
    told = comparison(verdict)
    assert told is not None
    assert told.value == pytest.approx(160 / N)
    assert told.message.endswith("; this decides nothing.")
    assert comparison(decide(items_of("accuracy", answers(260, 100)), ASKED)) is None


def test_without_a_control_nothing_can_be_told_and_a_gate_that_asks_gives_no_verdict() -> None:
    columns = {name: values for name, values in answers(260, 100).items() if name != "control"}
    assert decide(items_of("accuracy", columns), Gate(min_retention=0.5)).comparisons == ()
    with pytest.raises(GateInputError, match="maxCopiedErrors: the items have no control"):
        decide(items_of("accuracy", columns), ASKED)
    errors = ErrorItems(ids=range(9), teacher=[1.0] * 9, student=[1.0] * 9, control=[1.0] * 9)
    with pytest.raises(GateInputError, match="or leave it out"):
        decide(errors, ASKED)


def test_rows_of_a_group_widen_the_interval() -> None:
    grouped = answers(138, 100) | {"cluster": [f"g{row // 10}" for row in range(N)]}
    wide, narrow = (criterion(decide(items_of("accuracy", each), ASKED)) for each in (grouped, answers(138, 100)))
    assert wide.high - wide.low > 1.5 * (narrow.high - narrow.low)


def test_a_student_exactly_at_the_limit_passes_at_the_level() -> None:
    random = np.random.default_rng(1)
    passed, draws = 0, 600
    for _ in range(draws):
        # Of 1,000 items both copy 3 %, the student alone 4 % and the control alone 2 %.
        kinds = random.choice(4, size=1000, p=[0.03, 0.04, 0.02, 0.91])
        items = EvaluationItems(
            ids=range(1000), teacher=kinds == 3, student=kinds == 3, control=kinds == 3,
            student_copies=kinds <= 1, control_copies=(kinds == 0) | (kinds == 2),
        )  # fmt: skip
        passed += criterion(decide(items, ASKED)).verdict == "Pass"
    assert passed / draws < LEVEL + 3.5 * sqrt(LEVEL * (1 - LEVEL) / draws)
