"""Results that cannot support a verdict are refused with the field and the fix; nothing is guessed."""

import numpy as np
import pytest
from distillery_gate import EvaluationItems, Gate, GateError, GateInputError
from pydantic import ValidationError

GOOD = {"ids": ["a", "b", "c"], "teacher": [1, 1, 0], "student": [1, 0, 0]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ids": []}, "ids: there are no items; evaluate"),
        ({"ids": "abc"}, "ids: not a list; give one text or integer id per item"),
        ({"ids": None}, "ids: not a list"),
        ({"ids": ["a", "b", "a"]}, "ids: 'a' stands 2 times; give each item once"),
        ({"ids": ["a", "b", None]}, "ids: must be all text or all integers, found NoneType, str"),
        ({"ids": [1, 2, "2"]}, "ids: must be all text or all integers, found int, str"),
        ({"ids": [1.0, 2.0, float("nan")]}, "ids: must be all text or all integers, found float"),
        ({"teacher": [1, 0]}, "teacher: has 2 results for 3 ids; evaluate every model on the same items"),
        ({"student": []}, "student: has 0 results for 3 ids"),
        ({"student": None}, "student: missing; give 1"),
        ({"student": [1, float("nan"), 0]}, "student: item 1 is NaN; evaluate that item again"),
        ({"student": [1, 0.7, 0]}, "student: item 1 is 0.7; give 1 .right. or 0 .wrong., not a score"),
        ({"student": [1, -1, 0]}, "student: item 1 is -1"),
        ({"student": [1, 0, float("inf")]}, "student: item 2 is inf"),
        ({"student": ["1", "0", "1"]}, "student: results are not numbers"),
        ({"student": [1, None, 0]}, "student: results are not numbers .numpy object."),
        ({"student": [[1, 0, 1]]}, "student: has 2 dimensions; give a flat list"),
        ({"student": [[1], [0, 1], [1]]}, "student: not a flat list"),
        ({"student": 1}, "student: has 0 dimensions"),
        ({"incumbent": [1, 0, 2]}, "incumbent: item 2 is 2"),
        ({"control": [1, 0]}, "control: has 2 results for 3 ids"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_bad_results_are_refused_with_the_field_and_the_fix(change, message):
    with pytest.raises(GateInputError, match=message):
        EvaluationItems(**(GOOD | change))


def test_input_errors_belong_to_the_tree_of_the_gate():
    assert issubclass(GateInputError, GateError)


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint64, np.float32], ids=str)
def test_zeros_and_ones_of_any_numeric_type_are_accepted(dtype):
    items = EvaluationItems(ids=np.arange(3), teacher=np.array([1, 1, 0], dtype), student=[True, False, False])
    assert items.n == 3
    assert items.teacher.dtype == bool
    assert items.teacher.tolist() == [True, True, False]


def test_results_cannot_change_after_they_were_checked():
    mine = np.array([True, False, False])
    items = EvaluationItems(**(GOOD | {"student": mine}))
    mine[1] = True
    assert items.student.tolist() == [True, False, False]
    with pytest.raises(ValueError, match="read-only"):
        items.student[1] = True


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({}, "minRetention"),
        ({"minRetention": 0}, "minRetention"),
        ({"minRetention": 1.01}, "minRetention"),
        ({"minRetention": float("nan")}, "minRetention"),
        ({"minRetention": "0.95"}, "minRetention"),
        ({"minRetention": True}, "minRetention"),
        ({"minRetention": 0.9, "incumbentMargin": -0.01}, "incumbentMargin"),
        ({"minRetention": 0.9, "incumbentMargin": 1}, "incumbentMargin"),
        ({"minRetention": 0.9, "level": 0}, "level"),
        ({"minRetention": 0.9, "level": 0.21}, "level"),
        ({"minRetention": 0.9, "minRetension": 0.9}, "minRetension"),
    ],
    ids=str,
)
def test_a_gate_out_of_bounds_is_refused_by_field(fields, named):
    with pytest.raises(ValidationError, match=named):
        Gate.model_validate(fields)


def test_a_gate_reads_both_spellings_and_keeps_its_values():
    gate = Gate.model_validate({"minRetention": 1, "incumbentMargin": 0.01, "level": 0.2})
    assert gate == Gate(min_retention=1.0, incumbent_margin=0.01, level=0.2)
    with pytest.raises(ValidationError, match="frozen"):
        gate.level = 0.1
