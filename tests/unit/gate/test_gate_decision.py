"""Verdicts as a user reads them: outcome, numbers and sentence for typical and for degenerate evaluations."""

import json

import numpy as np
import pytest
from distillery_gate import EvaluationItems, Gate, GateInputError, Verdict, decide
from distillery_gate.wording import decimals_for
from hypothesis import given, settings
from hypothesis import strategies as st

GATE = Gate(min_retention=0.95)


def make_items(
    both: int, student_only: int, other_only: int, neither: int, *, other: str = "teacher"
) -> EvaluationItems:
    """Items with these counts of student against another model; a teacher not given is always right."""
    counts = [both, student_only, other_only, neither]
    student = np.repeat([True, True, False, False], counts)
    results = {"teacher": np.ones(sum(counts), bool)} | {other: np.repeat([True, False, True, False], counts)}
    return EvaluationItems(ids=range(sum(counts)), student=student, **results)


def make_incumbent_items(both: int, student_only: int, incumbent_only: int, neither: int) -> EvaluationItems:
    return make_items(both, student_only, incumbent_only, neither, other="incumbent")


def named(verdict: Verdict, name: str):
    return next(criterion for criterion in verdict.criteria if criterion.name == name)


def test_the_wordnet_student_passes_with_its_numbers_in_a_sentence():
    verdict = decide(make_items(7430, 500, 800, 1270), GATE)
    retention = named(verdict, "retention")
    assert verdict.verdict == retention.verdict == "Pass"
    assert retention.value == pytest.approx(0.793 / 0.823)
    assert retention.message == (
        "The student keeps 0.964 of the teacher's accuracy (95 % interval 0.955 to 0.972, n = 10,000);"
        " the gate asks for more than 0.95."
    )


def test_a_student_clearly_below_the_threshold_fails():
    verdict = decide(make_items(6000, 300, 2230, 1470), GATE)
    retention = named(verdict, "retention")
    assert verdict.verdict == "Fail"
    assert retention.high < retention.threshold == 0.95
    assert retention.items_needed is None
    assert "the whole interval is below that" in retention.message


def test_the_same_rates_on_too_few_items_are_inconclusive_and_say_how_many_are_needed():
    retention = named(decide(make_items(743, 50, 80, 127), GATE), "retention")
    assert retention.verdict == "Inconclusive"
    assert retention.low < 0.95 < retention.high
    assert 1000 < retention.items_needed < 10_000
    assert f"at these rates {retention.items_needed:,} items in all would show it" in retention.message


def test_an_inconclusive_student_under_the_threshold_is_told_that_more_items_will_not_help():
    retention = named(decide(make_items(75, 2, 7, 16), GATE), "retention")
    assert retention.verdict == "Inconclusive"
    assert retention.value < 0.95
    assert retention.items_needed is None
    assert "more items at these rates would not show it" in retention.message


def test_an_incumbent_that_is_clearly_better_makes_the_student_fail():
    verdict = decide(make_incumbent_items(800, 5, 195, 0), Gate(min_retention=0.5))
    assert named(verdict, "retention").verdict == "Pass"
    assert named(verdict, "incumbent").verdict == "Fail"
    assert verdict.verdict == "Fail"


def test_an_undecided_incumbent_makes_the_whole_verdict_inconclusive():
    verdict = decide(make_incumbent_items(800, 30, 30, 140), Gate(min_retention=0.5))
    assert [criterion.verdict for criterion in verdict.criteria] == ["Pass", "Inconclusive"]
    assert verdict.verdict == "Inconclusive"


def test_a_margin_lets_an_equally_good_student_replace_the_incumbent():
    gate = Gate(min_retention=0.5, incumbent_margin=0.02)
    incumbent = named(decide(make_incumbent_items(800, 30, 30, 140), gate), "incumbent")
    assert incumbent.verdict == "Pass"
    assert incumbent.threshold == -0.02
    assert incumbent.message == (
        "The student's accuracy minus the incumbent's is 0.000 (95 % interval -0.016 to 0.016, n = 1,000);"
        " the gate asks for more than -0.02."
    )


def test_no_incumbent_criterion_without_an_incumbent():
    assert [criterion.name for criterion in decide(make_items(90, 5, 3, 2), GATE).criteria] == ["retention"]


def test_a_student_right_wherever_the_incumbent_is_passes_at_margin_zero_given_enough_items():
    incumbent = named(decide(make_incumbent_items(7000, 0, 0, 3000), Gate(min_retention=0.5)), "incumbent")
    assert incumbent.verdict == "Pass"
    assert incumbent.low < incumbent.threshold == 0
    assert "nowhere worse than the incumbent, and a loss below 0.001 then counts as none" in incumbent.message


def test_agreement_on_few_items_is_no_proof_of_being_no_worse():
    incumbent = named(decide(make_incumbent_items(70, 0, 0, 30), Gate(min_retention=0.5)), "incumbent")
    assert incumbent.verdict == "Inconclusive"
    assert incumbent.items_needed > 100


def test_the_items_needed_by_a_student_that_agrees_everywhere_do_pass():
    gate = Gate(min_retention=0.5)
    needed = named(decide(make_incumbent_items(70, 0, 0, 30), gate), "incumbent").items_needed
    assert named(decide(make_incumbent_items(needed, 0, 0, 0), gate), "incumbent").verdict == "Pass"


def test_one_item_lost_to_the_incumbent_ends_the_allowance_at_margin_zero():
    incumbent = named(decide(make_incumbent_items(7000, 0, 1, 2999), Gate(min_retention=0.5)), "incumbent")
    assert incumbent.verdict == "Inconclusive"


def test_a_control_is_reported_but_decides_nothing():
    items = make_items(95, 2, 3, 0)
    with_control = EvaluationItems(
        ids=items.ids, teacher=items.teacher, student=items.student, control=items.student[::-1]
    )
    verdict, plain = decide(with_control, GATE), decide(items, GATE)
    assert verdict.criteria == plain.criteria
    assert [comparison.name for comparison in verdict.comparisons] == ["control"]
    assert verdict.comparisons[0].low < verdict.comparisons[0].value < verdict.comparisons[0].high
    assert [model.name for model in verdict.measurements] == ["teacher", "student", "control"]


def test_accuracies_stand_with_their_intervals():
    teacher, student = decide(make_items(7430, 500, 800, 1270), GATE).measurements
    assert (teacher.name, teacher.value, teacher.n) == ("teacher", 0.823, 10_000)
    assert (student.name, student.value) == ("student", 0.793)
    assert student.low < 0.793 < student.high < teacher.low


def test_a_teacher_that_is_never_right_is_an_error():
    with pytest.raises(GateInputError, match=r"teacher: right on none of 7 items.*check"):
        decide(make_items(0, 3, 0, 4), GATE)


@pytest.mark.parametrize(
    ("counts", "outcome"),
    [
        ((5000, 0, 0, 0), "Pass"),
        ((5000, 0, 0, 5000), "Pass"),
        ((0, 0, 5000, 0), "Fail"),
        ((0, 0, 100, 5000), "Fail"),
        ((1, 0, 0, 0), "Inconclusive"),
        ((0, 0, 1, 0), "Inconclusive"),
        ((0, 5000, 1, 0), "Pass"),
    ],
    ids=[
        "all right",
        "the same half right",
        "student all wrong",
        "student all wrong, teacher mostly",
        "one item, both right",
        "one item, student wrong",
        "student right where the teacher is not",
    ],
)
def test_degenerate_evaluations_have_a_sensible_outcome(counts, outcome):
    assert decide(make_items(*counts), GATE).verdict == outcome


def test_full_retention_asks_for_a_student_shown_to_be_better_than_its_teacher():
    gate = Gate(min_retention=1.0)
    same = named(decide(make_items(5000, 0, 0, 5000), gate), "retention")
    assert (same.verdict, same.items_needed) == ("Inconclusive", None)
    assert decide(make_items(5000, 100, 20, 4880), gate).verdict == "Pass"


def test_a_bound_close_to_its_threshold_is_printed_with_digits_that_tell_them_apart():
    retention = named(decide(make_items(7430, 500, 800, 1270), Gate(min_retention=0.9563, level=0.1)), "retention")
    assert retention.verdict == "Pass"
    assert "interval 0.9565 to" in retention.message


@pytest.mark.parametrize(
    ("threshold", "bounds", "decimals"),
    [(0.95, (0.956, 0.972), 3), (0.95, (0.9501, 0.972), 4), (1.5, (0.00172, 0.00181), 4), (0.5, (0.5, 0.7), 3),
     (0.1, (0.3, 0.3), 3), (0.1, (0.3, 0.3 + 1e-14), 9)],
)  # fmt: skip
def test_bounds_have_as_many_digits_as_tell_them_and_the_threshold_apart(threshold, bounds, decimals):
    assert decimals_for(threshold, *bounds) == decimals


def test_json_is_camel_case_and_reads_back_equal():
    verdict = decide(make_items(743, 50, 80, 127), GATE)
    text = verdict.model_dump_json()
    assert set(json.loads(text)) == {
        "verdict", "level", "look", "n", "criteria", "slices", "perturbations", "calibration", "comparisons",
        "measurements",
    }  # fmt: skip
    assert set(json.loads(text)["criteria"][0]) == {
        "name", "verdict", "value", "low", "high", "threshold", "n", "clusters", "itemsNeeded", "message"
    }  # fmt: skip
    assert Verdict.model_validate_json(text) == verdict


def test_a_million_items_are_decided():
    verdict = decide(make_items(743_000, 50_000, 80_000, 127_000), GATE)
    assert (verdict.verdict, verdict.n) == ("Pass", 1_000_000)


bits = st.lists(st.tuples(*[st.booleans()] * 3), min_size=1, max_size=80)
gates = st.fixed_dictionaries(
    {
        "minRetention": st.sampled_from([0.3, 0.8, 0.95, 1.0]),
        "incumbentMargin": st.sampled_from([0.0, 0.01, 0.3]),
        "level": st.sampled_from([0.01, 0.05, 0.2]),
    }
).map(Gate.model_validate)
RANK = {"Fail": 0, "Inconclusive": 1, "Pass": 2}


def items_of(rows: list[tuple[bool, bool, bool]]) -> EvaluationItems:
    teacher, student, incumbent = np.array(rows).T
    return EvaluationItems(ids=range(len(rows)), teacher=teacher, student=student, incumbent=incumbent)


def with_a_right_teacher(rows: list[tuple[bool, bool, bool]]) -> bool:
    return any(teacher for teacher, _, _ in rows)


@given(bits.filter(with_a_right_teacher), gates, st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_the_order_of_items_changes_nothing(rows, gate, random):
    shuffled = random.sample(rows, len(rows))
    assert decide(items_of(shuffled), gate) == decide(items_of(rows), gate)


@given(bits.filter(with_a_right_teacher), gates)
@settings(max_examples=60, deadline=None)
def test_a_student_that_gets_one_more_item_right_never_fares_worse(rows, gate):
    before = RANK[decide(items_of(rows), gate).verdict]
    for index, (teacher, student, incumbent) in enumerate(rows[:5]):
        if not student:
            better = [*rows[:index], (teacher, True, incumbent), *rows[index + 1 :]]
            assert RANK[decide(items_of(better), gate).verdict] >= before


@given(bits.filter(with_a_right_teacher), st.sampled_from([0.01, 0.05]))
@settings(max_examples=60, deadline=None)
def test_a_looser_gate_never_gives_a_worse_verdict(rows, level):
    strict = Gate(min_retention=0.95, incumbent_margin=0.0, level=level)
    loose = Gate(min_retention=0.8, incumbent_margin=0.05, level=level)
    assert RANK[decide(items_of(rows), loose).verdict] >= RANK[decide(items_of(rows), strict).verdict]


@given(bits.filter(with_a_right_teacher), gates)
@settings(max_examples=60, deadline=None)
def test_every_verdict_is_finite_and_follows_from_its_bounds(rows, gate):
    verdict = decide(items_of(rows), gate)
    json.loads(verdict.model_dump_json(), parse_constant=pytest.fail)
    for criterion in verdict.criteria:
        assert criterion.low <= criterion.value <= criterion.high
        assert (criterion.verdict == "Fail") == (criterion.high < criterion.threshold)
        if criterion.low > criterion.threshold:
            assert criterion.verdict == "Pass"
        assert criterion.items_needed is None or criterion.items_needed > len(rows)
        assert len(criterion.message) <= 512
