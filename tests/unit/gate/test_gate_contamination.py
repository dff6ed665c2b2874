"""Items that stand in what the student learned from: told always, and judged where the gate sets how many may."""

from typing import Any

import pytest
from distillery_gate import ErrorItems, EvaluationItems, Gate, GateInputError, Verdict, decide, items_of
from distillery_gate.verdict import Comparison, Criterion

N = 1000
ASKED = Gate(min_retention=0.5, max_contamination=0.05)
TOLD = Gate(min_retention=0.5)


def columns(known: int, **more: Any) -> dict[str, Any]:
    """The student knows the first rows by heart, and gets every fifth of the others wrong."""
    student = ["a" if row < known or row % 5 else "b" for row in range(N)]
    flags = [row < known for row in range(N)]
    return {"gold": ["a"] * N, "teacher": ["a"] * N, "student": student, "contaminated": flags} | more


def judged(verdict: Verdict) -> Criterion:
    return next(each for each in verdict.criteria if each.name == "contamination")


def told(verdict: Verdict) -> Comparison | None:
    return next((each for each in verdict.comparisons if each.name == "contamination"), None)


@pytest.mark.parametrize(("known", "outcome"), [(0, "Pass"), (49, "Pass"), (50, "Pass"), (51, "Fail"), (400, "Fail")])
def test_as_many_items_as_the_gate_allows_may_be_known_and_not_one_more(known: int, outcome: str) -> None:
    found = judged(decide(items_of("accuracy", columns(known)), ASKED))
    assert (found.verdict, found.value, found.n) == (outcome, known / N, N)
    assert found.low == found.high == found.value  # of these items all were looked up
    assert found.items_needed is None


def test_a_gate_of_none_fails_by_one_and_passes_without() -> None:
    none = Gate(min_retention=0.5, max_contamination=0.0)
    assert judged(decide(items_of("accuracy", columns(1)), none)).verdict == "Fail"
    assert judged(decide(items_of("accuracy", columns(0)), none)).message == (
        "None of 1,000 items stands in what the student learned from; the gate asks for at most 0."
    )


def test_the_sentence_has_the_students_accuracy_with_and_without_them() -> None:
    verdict = decide(items_of("accuracy", columns(400)), ASKED)
    assert judged(verdict).message == (
        "400 of 1,000 items, a share of 0.400, stand in what the student learned from: its accuracy is 0.880 with them"
        " and 0.800 without; the gate asks for at most 0.05; that is more."
    )
    assert verdict.verdict == "Fail"
    assert told(verdict) is None


def test_where_the_gate_does_not_ask_they_are_told_and_decide_nothing() -> None:
    verdict = decide(items_of("accuracy", columns(400)), TOLD)
    assert verdict.verdict == "Pass"
    found = told(verdict)
    assert found is not None
    assert found.value == 0.4
    assert found.message.endswith("0.880 with them and 0.800 without; this decides nothing.")


def test_where_nobody_looked_nothing_is_told_and_a_gate_that_asks_gives_no_verdict() -> None:
    unknown = columns(400)
    del unknown["contaminated"]
    assert told(decide(items_of("accuracy", unknown), TOLD)) is None
    with pytest.raises(GateInputError, match="maxContamination: nobody looked up"):
        decide(items_of("accuracy", unknown), ASKED)


@pytest.mark.parametrize("flags", [[True] * 9, [2] * N, ["yes"] * N, [None] * N])
def test_flags_that_are_none_are_refused(flags: list[Any]) -> None:
    with pytest.raises(GateInputError, match="contaminated: "):
        items_of("accuracy", columns(0, contaminated=flags))


def test_where_all_items_are_known_there_is_no_value_without_them() -> None:
    found = judged(decide(items_of("accuracy", columns(N)), ASKED))
    assert "its accuracy is 1.000 with them; the gate" in found.message


def test_a_text_is_known_where_one_of_its_rows_is() -> None:
    rows = {"cluster": ["x", "x", "y", "z"], "tokens": [3] * 4, "teacher": [1.0, 2.0, 1.5, 1.0]}
    items = items_of("perplexity", rows | {"student": rows["teacher"], "contaminated": [False, True, False, False]})
    assert judged(decide(items, Gate(min_retention=0.5, max_contamination=0.5))).value == pytest.approx(1 / 3)


def test_errors_are_given_with_and_without_known_items() -> None:
    items = ErrorItems(
        ids=range(4),
        teacher=[1.0, 2.0, 1.0, 2.0],
        student=[0.0, 1.0, 2.0, 2.0],
        contaminated=[True, False, False, False],
    )
    found = told(decide(items, Gate(min_retention=0.1)))
    assert found is not None
    assert "its mean absolute error is 1.250 with them and 1.667 without" in found.message


def test_a_slice_keeps_what_is_known_of_its_items() -> None:
    items = EvaluationItems(
        ids=range(4), teacher=[1] * 4, student=[1] * 4, contaminated=[1, 0, 1, 0], slices=list("aabb")
    )
    [(_, first), _] = items.by_slice()
    assert items.take(first).contaminated.tolist() == [True, False]
