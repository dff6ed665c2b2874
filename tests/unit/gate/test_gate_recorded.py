"""Items of recorded columns: what an evaluation writes is what its verdict is taken on."""

from typing import Any

import numpy as np
import pytest
from distillery_gate import ErrorItems, EvaluationItems, GateInputError, LikelihoodItems, ScoreItems, items_of

LABELS = {
    "item": [0, 1, 2], "cluster": ["x", "x", "y"], "slice": ["de", "en", "en"], "gold": ["a", "b", "a"],
    "teacher": ["a", "b", "b"], "student": ["a", "a", ""], "control": ["b", "b", "b"],
}  # fmt: skip
SCORES = {"gold": [1.0, 2.0, 3.0], "teacher": [1.5, 2.0, 2.0], "student": [0.0, 2.0, 3.5]}
NATS = {
    "cluster": ["late", "early", "late"], "slice": ["b", "a", "b"], "tokens": [10, 5, 30],
    "teacher": [3.0, 4.0, 2.0], "student": [3.5, 4.0, 2.5],
}  # fmt: skip


def test_labels_are_right_where_they_are_the_gold_one() -> None:
    items = items_of("accuracy", LABELS)
    assert isinstance(items, EvaluationItems)
    assert items.student.tolist() == [True, False, False]
    assert items.teacher.tolist() == [True, True, False]
    assert items.control is not None
    assert items.incumbent is None
    assert items.clusters.tolist() == [0, 0, 1]
    assert items.slices.tolist() == ["de", "en", "en"]


def test_answers_to_changed_rows_are_right_where_they_are_the_gold_label() -> None:
    items = items_of("accuracy", LABELS | {"student_typos": ["a", "b", "b"], "student_blur": ["b", "b", "a"]})
    assert {name: right.tolist() for name, right in items.perturbed.items()} == {
        "typos": [True, True, False], "blur": [False, True, True],
    }  # fmt: skip


def test_scores_become_absolute_errors() -> None:
    items = items_of("mean absolute error", SCORES)
    assert isinstance(items, ErrorItems)
    assert items.student.tolist() == [1.0, 0.0, 0.5]


def test_likelihoods_are_summed_by_text() -> None:
    items = items_of("perplexity", NATS)
    assert isinstance(items, LikelihoodItems)
    assert list(items.ids) == ["early", "late"]
    assert items.tokens.tolist() == [5, 40]
    assert items.student.tolist() == pytest.approx([20, 110])
    assert items.slices.tolist() == ["a", "b"]


def test_results_of_any_rule_are_exact_matches_and_need_no_gold() -> None:
    items = items_of("exact match", {"teacher": [1, 1, 0], "student": [1.0, 0.0, 0.0], "slice": ["a", "a", "b"]})
    assert isinstance(items, EvaluationItems)
    assert items.student.tolist() == [True, False, False]
    assert items.slices.tolist() == ["a", "a", "b"]


def test_scores_of_which_larger_ones_are_better_stay_as_they_are() -> None:
    items = items_of("mean score", {"teacher": [0.5, 1.0], "student": [0.25, 1.0], "cluster": ["x", "y"]})
    assert isinstance(items, ScoreItems)
    assert items.student.tolist() == [0.25, 1.0]


@pytest.mark.parametrize(
    ("metric", "columns", "words"),
    [
        (
            "bleu",
            LABELS,
            "metric: 'bleu' is none of accuracy, macro F1, mean absolute error, NDCG@10, perplexity",
        ),
        ("exact match", {"teacher": [1, 1], "student": [1, 0.5]}, "student: item 1 is 0.5; give 1 .right. or 0"),
        ("mean score", {"teacher": [1, 1], "student": [1, None]}, "student: results are not numbers"),
        ("accuracy", {"gold": ["a"], "student": ["a"]}, "teacher: no such column, only gold, student"),
        ("accuracy", {"teacher": ["a"], "student": ["a"]}, "gold: no such column"),
        ("accuracy", {"teacher": ["a"]}, "student: no such column"),
        ("accuracy", LABELS | {"gold": ["a"]}, "gold: has 1 values for 3 of student"),
        ("accuracy", {name: [] for name in LABELS}, "ids: there are no items"),
        ("mean absolute error", SCORES | {"student": [1.0, np.nan, 2.0]}, "student: item 1 is NaN"),
        ("mean absolute error", SCORES | {"gold": [1.0, np.nan, 2.0]}, "gold: item 1 is NaN"),
        ("mean absolute error", LABELS, "gold: results are not numbers"),
        ("perplexity", {name: NATS[name] for name in ("tokens", "teacher", "student")}, "cluster: no such column"),
        ("perplexity", NATS | {"tokens": [10, None, 30]}, "tokens"),
    ],
)
def test_a_missing_or_misnamed_column_gives_no_verdict(metric: str, columns: dict[str, Any], words: str) -> None:
    with pytest.raises(GateInputError, match=words):
        items_of(metric, columns)
