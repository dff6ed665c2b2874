"""Macro F1: its value, its jackknife, its interval, and how often a student at the threshold passes."""

from math import sqrt
from typing import Any

import numpy as np
import pytest
from distillery_gate import EvaluationItems, F1Items, Gate, GateInputError, SliceGate, decide, items_of
from distillery_gate.estimates import spread
from distillery_gate.f1 import macro_f1
from distillery_gate.proportion import exact_interval
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

LEVEL = 0.05  # of the first look, which spends half of the gate's
GATE = Gate(metric="macroF1", min_retention=0.9, level=2 * LEVEL)
Drawn = dict[str, list[str]]


def drawn(n: int, *, sizes: tuple[float, ...] = (0.6, 0.3, 0.1), right: float = 0.9, seed: int = 0) -> Drawn:
    """Gold labels and answers; the student answers like the teacher on most items."""
    random = np.random.default_rng(seed)
    gold = random.choice(len(sizes), size=n, p=sizes)
    teacher, other = (
        np.where(random.random(n) < right, gold, random.integers(len(sizes) + 1, size=n)) for _ in range(2)
    )
    student = np.where(random.random(n) < 0.8, teacher, other)
    return {"gold": named(gold), "teacher": named(teacher), "student": named(student)}


def named(numbers: NDArray[Any]) -> list[str]:
    return [f"label {number}" for number in numbers]


def by_definition(gold: list[str], answers: list[str]) -> float:
    """Macro F1 from precision and recall, label by label."""
    scores = []
    for label in set(gold):
        hits = sum(a == g == label for a, g in zip(answers, gold, strict=True))
        precision, recall = hits / max(1, answers.count(label)), hits / gold.count(label)
        scores.append(2 * precision * recall / (precision + recall) if hits else 0.0)
    return float(np.mean(scores))


@given(st.lists(st.tuples(*[st.sampled_from("abcd")] * 2), min_size=2, max_size=12))
def test_it_is_the_mean_over_gold_labels_of_the_harmonic_mean_of_precision_and_recall(
    pairs: list[tuple[str, str]],
) -> None:
    gold, answers = [g for g, _ in pairs], [a for _, a in pairs]
    found = decide_measured(items_of("macro F1", {"gold": gold, "teacher": gold, "student": answers}))
    assert found == pytest.approx(by_definition(gold, answers), abs=1e-12)


def decide_measured(items: Any) -> float:
    value: float = items.measure(items.student, LEVEL)[0]
    return value


def numbers(columns: Drawn, name: str) -> NDArray[np.intp]:
    labels = sorted(set(columns["gold"]))
    return np.array([labels.index(each) if each in labels else -1 for each in columns[name]])


@pytest.mark.parametrize("clusters", [None, np.arange(60) // 4, np.arange(60) % 7])
def test_the_jackknife_is_what_leaving_out_each_cluster_gives(clusters: NDArray[Any] | None) -> None:
    columns = drawn(60, right=0.7)
    gold, answers = numbers(columns, "gold"), numbers(columns, "student")
    found = macro_f1(gold, answers, clusters)
    units = np.arange(60) if clusters is None else clusters
    assert set(gold) == {0, 1, 2}
    for unit in range(units.max() + 1):
        rest = units != unit
        left = by_definition(gold[rest].tolist(), answers[rest].tolist())
        assert found.value - found.clusters[unit] == pytest.approx(left, abs=1e-12)


def test_a_label_that_only_one_item_has_counts_as_it_was_without_it() -> None:
    alone = macro_f1(np.array([0, 0, 0, 1]), np.array([0, 0, 0, 1]), None)
    assert (alone.value, alone.items.tolist()) == (1.0, [0, 0, 0, 0])


def test_its_first_order_is_the_delta_method() -> None:
    """As Takahashi et al. (2022) have it: a gradient of F1 over the cells of the confusion matrix."""
    columns = drawn(20_000)
    gold, answers = numbers(columns, "gold"), numbers(columns, "student")
    table = np.zeros((3, 4))
    np.add.at(table, (gold, answers), 1)
    named = table.sum(axis=1) + table[:, :3].sum(axis=0)
    scores = 2 * np.diag(table[:, :3]) / named
    gradient = np.zeros((3, 4))
    for label in range(3):
        gradient[label, :] -= scores[label] / named[label] / 3
        gradient[:, label] -= scores[label] / named[label] / 3
        gradient[label, label] += 2 / named[label] / 3
    variance = (gradient**2 * table).sum() - (gradient * table).sum() ** 2 / table.sum()
    assert spread(macro_f1(gold, answers, None).items) == pytest.approx(variance, rel=1e-3)


def test_a_student_like_its_teacher_passes_with_its_numbers_in_a_sentence() -> None:
    verdict = decide(items_of("macro F1", drawn(3000)), GATE)
    [retention] = verdict.criteria
    assert verdict.verdict == "Pass"
    assert retention.message.startswith("The student keeps 1.000 of the teacher's macro F1 (90 % interval 0.994")
    assert {measured.metric for measured in verdict.measurements} == {"macro F1"}


def test_a_rare_label_that_collapsed_fails_what_accuracy_passes() -> None:
    columns = drawn(4000, sizes=(0.55, 0.4, 0.05), right=0.97)
    columns["student"] = ["label 0" if answer == "label 2" else answer for answer in columns["teacher"]]
    assert decide(items_of("macro F1", columns), GATE).verdict == "Fail"
    assert decide(items_of("accuracy", columns), GATE.model_copy(update={"metric": None})).verdict == "Pass"


def test_two_models_that_are_right_everywhere_are_as_sure_as_by_right_answers() -> None:
    gold = named(np.arange(200) % 4)
    columns = {"gold": gold, "teacher": gold, "student": gold}
    f1, accuracy = (decide(items_of(metric, columns), Gate(min_retention=0.9)) for metric in ("macro F1", "accuracy"))
    assert (f1.criteria[0].low, f1.criteria[0].high) == pytest.approx(
        (accuracy.criteria[0].low, accuracy.criteria[0].high), abs=0.001
    )
    assert f1.measurements[0].low == pytest.approx(exact_interval(200, 200, f1.level).low, abs=0.001)


def test_items_that_are_evaluated_five_times_count_about_once() -> None:
    alone = drawn(800)
    copied = {name: [label for label in labels for _ in range(5)] for name, labels in alone.items()}
    copied["cluster"] = [f"item {row // 5}" for row in range(4000)]
    gate = GATE.model_copy(update={"min_f1": 0.5})
    once, five = (decide(items_of("macro F1", columns), gate) for columns in (alone, copied))
    for one, many in zip(once.criteria, five.criteria, strict=True):
        assert (many.low, many.high) == pytest.approx((one.low, one.high), abs=0.002)
    assert five.criteria[0].clusters == 800


def test_answers_that_are_never_right_are_refused_and_a_student_of_them_fails() -> None:
    gold = named(np.arange(100) % 4)
    wrong = ["label 9"] * 100
    with pytest.raises(GateInputError, match="teacher: right on none of 100 items"):
        decide(items_of("macro F1", {"gold": gold, "teacher": wrong, "student": gold}), GATE)
    [retention] = decide(items_of("macro F1", {"gold": gold, "teacher": gold, "student": wrong}), GATE).criteria
    assert (retention.verdict, retention.value) == ("Fail", 0.0)


def test_one_label_alone_gives_a_verdict() -> None:
    gold = ["a"] * 500
    columns = {"gold": gold, "teacher": gold, "student": ["b"] * 5 + ["a"] * 495}
    assert decide(items_of("macro F1", columns), GATE).verdict == "Pass"


def test_a_student_that_is_right_wherever_it_answers_otherwise_is_nowhere_worse() -> None:
    columns = drawn(4000)
    columns["incumbent"] = columns["student"]
    columns["student"] = [
        gold if row < 3 else answer
        for row, (gold, answer) in enumerate(zip(columns["gold"], columns["student"], strict=True))
    ]
    incumbent = decide(items_of("macro F1", columns), GATE).criteria[1]
    assert incumbent.verdict == "Pass"
    assert "nowhere worse" in incumbent.message


def test_what_is_about_right_and_wrong_answers_is_asked_as_ever() -> None:
    columns: dict[str, Any] = drawn(3000) | {"control": drawn(3000, seed=3)["student"]}
    columns["student_confidence"] = [0.9] * 3000
    columns["slice"] = ["de", "en"] * 1500
    asked = {
        "minRetention": 0.9, "chanceAccuracy": 0.3, "minAccuracy": 0.8, "minF1": 0.7, "maxNegativeFlips": 0.1,
        "maxCopiedErrors": 0.1, "maxCalibrationError": 0.2, "slices": {"minRetention": 0.8},
    }  # fmt: skip
    verdict = decide(items_of("macro F1", columns), Gate.model_validate(asked | {"metric": "macroF1"}))
    by_accuracy = decide(items_of("accuracy", columns), Gate.model_validate(asked | {"minF1": None}))
    same = {"minAccuracy", "negativeFlips", "copiedErrors", "calibrationError"}
    shared = {each.name: each for each in by_accuracy.criteria if each.name in same}
    assert {each.name: each for each in verdict.criteria if each.name in same} == shared
    assert verdict.calibration == by_accuracy.calibration
    assert {each.name for each in verdict.criteria} - set(shared) == {"retention", "minF1", "worstSlice"}
    assert verdict.verdict == "Pass"


def test_macro_f1_is_asked_of_labels_and_another_metric_than_the_gates_is_refused() -> None:
    columns = drawn(300)
    with pytest.raises(GateInputError, match="metric: the gate asks for macro F1 and the items have accuracy"):
        decide(items_of("accuracy", columns), GATE)
    with pytest.raises(GateInputError, match="minF1: the items have accuracy and no macro F1"):
        decide(items_of("accuracy", columns), Gate(min_retention=0.9, min_f1=0.5))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"gold": None}, "gold: missing; give the label of each of the 3 items"),
        ({"gold": ["a", "b"]}, "gold: has 2 labels for 3 ids"),
        ({"gold": ["a", "b", 1]}, "gold: must be all text or all integers, found int, str"),
        ({"answers": {"teacher": ["a", "b", "a"]}}, "answers.student: missing"),
        ({"answers": {"teacher": ["a", "b", "a"], "student": ["a", "b", "c"]}}, "answers.student: item 1 does not"),
        ({"ids": [1], "gold": ["a"], "teacher": [1], "student": [1]}, "ids: one item says nothing"),
    ],
)  # fmt: skip
def test_bad_labels_are_refused(change: dict[str, Any], words: str) -> None:
    right = {
        "ids": [1, 2, 3], "gold": ["a", "b", "a"], "teacher": [1, 1, 1], "student": [1, 0, 1],
        "answers": {"teacher": ["a", "b", "a"], "student": ["a", "a", "a"]},
    }  # fmt: skip
    assert F1Items(**right).n == 3
    with pytest.raises(GateInputError, match=words):
        F1Items(**(right | change))


def test_a_student_exactly_at_the_threshold_passes_at_most_at_about_the_level() -> None:
    """Three labels, one of them rare; the whole population's ratio is the threshold."""
    everything = drawn(300_000, sizes=(0.6, 0.35, 0.05), right=0.85)
    gold, teacher, student = (numbers(everything, name) for name in ("gold", "teacher", "student"))
    threshold = macro_f1(gold, student, None).value / macro_f1(gold, teacher, None).value
    random, passed, draws, n = np.random.default_rng(5), 0, 400, 300
    for _ in range(draws):
        rows = random.integers(len(gold), size=n)
        columns = {"gold": gold[rows], "teacher": teacher[rows], "student": student[rows]}
        items = items_of("macro F1", {name: labels.tolist() for name, labels in columns.items()})
        passed += items.pair(items.teacher).ratio_interval(LEVEL).low > threshold
    assert passed / draws < LEVEL + 3 * sqrt(LEVEL * (1 - LEVEL) / draws)


def test_the_items_it_asks_for_decide_in_about_80_percent() -> None:
    everything = drawn(200_000)
    gold, teacher, student = (numbers(everything, name) for name in ("gold", "teacher", "student"))
    items = items_of("macro F1", {"gold": gold.tolist(), "teacher": teacher.tolist(), "student": student.tolist()})
    pair = items.pair(items.teacher)
    threshold = pair.ratio() - 0.03
    needed = pair.ratio_items_needed(threshold, LEVEL)
    assert needed is not None
    random, passed = np.random.default_rng(6), 0
    for _ in range(400):
        rows = random.integers(len(gold), size=needed)
        columns = {"gold": gold[rows], "teacher": teacher[rows], "student": student[rows]}
        some = items_of("macro F1", {name: labels.tolist() for name, labels in columns.items()})
        passed += some.pair(some.teacher).ratio_interval(LEVEL).low > threshold
    assert passed / 400 == pytest.approx(0.8, abs=0.07)


def test_slices_have_the_labels_that_occur_in_them() -> None:
    columns: dict[str, Any] = drawn(600, sizes=(0.5, 0.5))
    columns["slice"] = ["one" if gold == "label 0" else "other" for gold in columns["gold"]]
    verdict = decide(items_of("macro F1", columns), Gate(min_retention=0.5, slices=SliceGate(min_retention=0.5)))
    assert [each.verdict for each in verdict.slices] == ["Pass", "Pass"]
    assert isinstance(items_of("macro F1", columns), EvaluationItems)
