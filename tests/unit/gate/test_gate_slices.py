"""The worst slice: what an average hides, and how many slices may be asked about at once."""

from math import sqrt

import numpy as np
import pytest
from distillery_gate import EvaluationItems, Gate, GateInputError, LikelihoodItems, SliceGate, Verdict, decide
from distillery_gate.verdict import Criterion

LEVEL = 0.05  # of the first look, which spends half of the gate's
GATE = Gate(min_retention=0.8, slices=SliceGate(min_retention=0.9))


def items(counts: dict[str, tuple[int, int, int, int]], **more: object) -> EvaluationItems:
    """By slice: items that both, only the student, only the teacher, or neither gets right."""
    student, teacher, slices = [], [], []
    for name, table in counts.items():
        student += [1] * (table[0] + table[1]) + [0] * (table[2] + table[3])
        teacher += [1] * table[0] + [0] * table[1] + [1] * table[2] + [0] * table[3]
        slices += [name] * sum(table)
    return EvaluationItems(ids=range(len(slices)), teacher=teacher, student=student, slices=slices, **more)


def worst(verdict: Verdict) -> Criterion:
    return next(criterion for criterion in verdict.criteria if criterion.name == "worstSlice")


def test_a_slice_that_collapsed_fails_a_student_whose_average_passes():
    verdict = decide(items({"en": (7800, 60, 40, 2100), "de": (30, 0, 50, 20)}), GATE)
    assert verdict.criteria[0].verdict == "Pass"
    assert (worst(verdict).verdict, verdict.verdict) == ("Fail", "Fail")
    assert worst(verdict).value == pytest.approx(30 / 80)
    assert "Of 2 slices 'de' is worst: The student keeps 0.375 of the teacher's accuracy" in worst(verdict).message
    assert "asks for more than 0.9 in every slice; that is below" in worst(verdict).message
    assert [each.name for each in verdict.slices] == ["de", "en"]


def test_slices_that_all_keep_enough_pass():
    verdict = decide(items({"en": (780, 6, 4, 210), "de": (390, 2, 2, 106)}), GATE)
    assert worst(verdict).verdict == "Pass"
    assert {each.verdict for each in verdict.slices} == {"Pass"}


def test_an_undecided_slice_says_how_many_items_of_all_slices_would_do():
    verdict = decide(items({"en": (7800, 60, 40, 2100), "de": (74, 1, 6, 19)}), GATE)
    assert worst(verdict).verdict == "Inconclusive"
    assert verdict.slices[0].name == "de"
    assert worst(verdict).items_needed > 10_100
    assert worst(verdict).items_needed == verdict.slices[0].items_needed


def test_a_slice_with_too_few_items_shows_nothing_and_says_so():
    verdict = decide(items({"en": (7800, 60, 40, 2100), "rare": (20, 0, 0, 0)}), GATE)
    assert (worst(verdict).verdict, worst(verdict).items_needed) == ("Inconclusive", None)
    assert "'rare' is worst: it has 20 items, and slices.minItems asks for 50" in worst(verdict).message
    assert worst(verdict).value == pytest.approx(7860 / 7840)
    assert verdict.slices[0].low is None


def test_a_slice_on_which_the_teacher_is_never_right_shows_nothing():
    verdict = decide(items({"en": (7800, 60, 40, 2100), "odd": (0, 30, 0, 30)}), GATE)
    assert worst(verdict).verdict == "Inconclusive"
    assert "right on none of 60 items" in worst(verdict).message


def test_no_verdict_is_given_where_no_slice_can_be_judged_or_there_are_none():
    with pytest.raises(GateInputError, match="none of 1 can be judged; 'rare': it has 20 items"):
        decide(items({"rare": (20, 0, 0, 0)}), GATE)
    with pytest.raises(GateInputError, match="slices: missing"):
        decide(EvaluationItems(ids=range(60), teacher=[1] * 60, student=[1] * 60), GATE)


@pytest.mark.parametrize(
    ("slices", "words"),
    [
        (["a"] * 59, "slices: has 59 names for 60 ids"),
        (["a"] * 59 + [""], "slices: item 59 has ''"),
        (["a"] * 59 + [None], "slices: item 59 has None"),
    ],
)
def test_slices_without_a_name_for_each_item_are_refused(slices, words):
    with pytest.raises(GateInputError, match=words):
        EvaluationItems(ids=range(60), teacher=[1] * 60, student=[1] * 60, slices=slices)


def test_clusters_count_within_slices_too():
    table = {"en": (400, 6, 4, 90), "de": (390, 2, 8, 100)}
    grouped = decide(items(table, clusters=np.repeat(np.arange(100), 10)), GATE)
    for wide, narrow in zip(grouped.slices, decide(items(table), GATE).slices, strict=True):
        assert wide.high - wide.low > narrow.high - narrow.low


def test_texts_of_a_language_model_have_slices():
    random = np.random.default_rng(1)
    teacher = random.uniform(200, 300, 200)
    student = teacher * np.where(np.arange(200) < 100, 1.0, 1.3)
    texts = LikelihoodItems(
        ids=range(200), tokens=np.full(200, 100), teacher=teacher, student=student,
        slices=["new"] * 100 + ["old"] * 100,
    )  # fmt: skip
    verdict = decide(texts, Gate(min_retention=0.1, slices=SliceGate(min_retention=0.9)))
    assert [(each.name, each.verdict) for each in verdict.slices] == [("old", "Fail"), ("new", "Pass")]


AT_THRESHOLD, ABOVE = [0.7, 0.02, 0.1, 0.18], [0.79, 0.02, 0.01, 0.18]  # 0.72 = 0.9 * 0.8


@pytest.mark.parametrize(
    ("others", "outcome"), [(ABOVE, "Pass"), (AT_THRESHOLD, "Fail")], ids=["one passes wrongly", "ten fail wrongly"]
)
def test_however_many_slices_there_are_a_student_at_the_threshold_is_judged_wrongly_at_most_at_the_level(
    others: list[float], outcome: str
) -> None:
    random = np.random.default_rng(2)
    gate = Gate(min_retention=0.1, slices=SliceGate(min_retention=0.9), level=2 * LEVEL)
    wrong = 0
    for _ in range(500):
        tables = [random.multinomial(200, rates) for rates in [AT_THRESHOLD, *[others] * 9]]
        wrong += worst(decide(items({f"s{i}": tuple(t) for i, t in enumerate(tables)}), gate)).verdict == outcome
    assert 0.01 < wrong / 500 < LEVEL + 3.5 * sqrt(LEVEL * (1 - LEVEL) / 500)
