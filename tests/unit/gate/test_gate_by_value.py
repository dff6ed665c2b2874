"""Gates whose evidence is a point: what the interval leaves undecided is decided by the value."""

from typing import Any

import numpy as np
import pytest
from distillery_gate import Costs, EvaluationItems, Gate, Items, Verdict, costs_of, decide, items_of
from distillery_gate.criteria.absolute import ABSOLUTE
from distillery_gate.criteria.by_value import BELOW

N = 400


def evaluated(right: int, wrong: int = 40) -> EvaluationItems:
    """Of 400 items the teacher has all but `wrong` right, and the student so many."""
    places = np.arange(N)
    names = np.where(places % 2 == 0, "even", "odd")
    return EvaluationItems(
        ids=range(N), teacher=places >= wrong, student=places >= N - right, slices=names,
        confidences={"student": np.full(N, 0.85)},
    )  # fmt: skip


def decided(items: Items, costs: Costs | None = None, **asked: Any) -> Verdict:
    return decide(items, Gate.model_validate({"minRetention": 0.5, "evidence": "Point"} | asked), costs=costs)


@pytest.mark.parametrize(("right", "outcome"), [(343, "Pass"), (342, "Fail"), (341, "Fail")])
def test_the_value_must_exceed_the_threshold_and_nothing_more(right: int, outcome: str) -> None:
    found = decided(evaluated(right), minRetention=0.95)  # of 360: 342 are exactly at it
    [retention] = found.criteria
    assert (found.verdict, retention.items_needed) == (outcome, None)
    assert retention.low < 0.95 < retention.high
    ending = "passes by the value alone, which chance may have put there." if outcome == "Pass" else "alone."
    assert retention.message.endswith(ending)


def test_what_the_interval_shows_is_told_as_ever() -> None:
    for right in (360, 250):
        by_value, by_interval = (
            decide(evaluated(right), Gate(min_retention=0.8, evidence=each)) for each in ("Point", "Interval")
        )
        assert by_value == by_interval


@pytest.mark.parametrize(
    ("asked", "limits"),
    [
        ("maxCalibrationError", (0.041, 0.039)), ("maxNegativeFlips", (0.056, 0.054)), ("minAccuracy", (0.844, 0.846)),
    ],
)  # fmt: skip
def test_every_criterion_has_its_own_good_side(asked: str, limits: tuple[float, float]) -> None:
    items = evaluated(338)  # accuracy 0.845; wrong on 22 that the teacher has right
    if asked == "maxCalibrationError":
        items = evaluated(324)  # accuracy 0.81 and confidence 0.85
    assert [decided(items, **{asked: limit}).verdict for limit in limits] == ["Pass", "Fail"]


def test_times_and_perplexities_pass_below() -> None:
    costs = costs_of({"latencyMs": [1.0, 3.0] * 500, "cpuMs": [2.0, 4.0] * 500, "inputs": 400,
                      "measuredOn": {"cpu": "c", "threads": 1, "engine": "e"}})  # fmt: skip
    price = {"coreHour": 1.0, "maxPerMillion": 3e6 / 3.6e6 + 1e-6}
    assert decided(evaluated(360), costs, cost={"price": price}).verdict == "Pass"
    texts = {"cluster": [str(row) for row in range(20)], "tokens": [100] * 20, "teacher": [1.0] * 20}
    items = items_of("perplexity", texts | {"student": [1.0 + (row % 2) / 2 for row in range(20)]})
    gates = (Gate(min_retention=0.1, max_perplexity=limit, evidence="Point") for limit in (3.5, 3.48))
    assert [decide(items, gate).verdict for gate in gates] == ["Pass", "Fail"]


def test_slices_are_decided_each_by_its_value_and_one_that_is_too_small_by_nothing() -> None:
    asked = {"slices": {"minRetention": 0.95, "minItems": 50}}
    assert decided(evaluated(350), **asked).verdict == "Pass"
    below = decided(evaluated(336), **asked)
    assert (below.verdict, {each.verdict for each in below.slices}) == ("Fail", {"Fail"})
    items = evaluated(350)
    uneven = EvaluationItems(
        ids=items.ids, teacher=items.teacher, student=items.student, slices=["a"] * 380 + ["tiny"] * 20
    )
    assert {each.name: each.verdict for each in decided(uneven, **asked).slices} == {
        "a": "Pass",
        "tiny": "Inconclusive",
    }
    assert decided(uneven, **asked).verdict == "Inconclusive"


def test_a_slice_may_have_the_name_of_a_criterion() -> None:
    items = evaluated(350)
    named = EvaluationItems(
        ids=items.ids, teacher=items.teacher, student=items.student, slices=["maxPerplexity"] * 200 + ["b"] * 200
    )
    found = decided(named, slices={"minRetention": 0.9, "minItems": 50})
    assert {each.name: each.verdict for each in found.slices} == {"maxPerplexity": "Pass", "b": "Pass"}


def test_a_clear_pass_lies_on_the_side_that_its_criterion_is_known_to_pass_on() -> None:
    right = np.arange(N) >= 40
    columns = {"gold": ["a"] * N, "teacher": np.where(right, "a", "b").tolist(), "student": ["a"] * N}
    columns |= {"control": ["b"] * N, "student_typos": ["a"] * N, "contaminated": [0] * N, "slice": ["s"] * N}
    costs = costs_of({"latencyMs": [1.0, 1.1] * 500, "cpuMs": [1.0, 1.1] * 500, "inputs": 400, "artifactBytes": 10,
                      "memoryBytes": 10, "measuredOn": {"cpu": "c", "threads": 1, "engine": "e"}})  # fmt: skip
    asked = {
        "minAccuracy": 0.5, "maxNegativeFlips": 0.5, "maxCopiedErrors": 0.5, "maxCalibrationError": 0.5,
        "maxContamination": 0.5, "slices": {"minRetention": 0.5}, "robustness": {"maxAccuracyLoss": 0.5},
        "cost": {"maxP50Ms": 9, "maxP99Ms": 9, "maxArtifactBytes": 20, "maxMemoryBytes": 20,
                 "price": {"coreHour": 0.1, "maxPerMillion": 9.0}},
    }  # fmt: skip
    labels = {**columns, "incumbent": columns["teacher"], "student_confidence": [1.0] * N}
    texts = {
        "cluster": [str(row) for row in range(50)],
        "tokens": [9] * 50,
        "teacher": [1.0] * 50,
        "student": [1.0] * 50,
    }
    ranked = {"query": [str(row // 2) for row in range(100)], "gold": [1.0, 0.0] * 50}
    scores = {"gold": [1.0, 2.0] * 50, "teacher": [1.5, 2.5] * 50, "student": [1.4, 2.4] * 50}
    found = [
        decided(items_of("accuracy", labels), costs, **asked),
        decided(items_of("macro F1", columns), minF1=0.5),
        decided(items_of("NDCG@10", ranked | dict.fromkeys(("teacher", "student"), ranked["gold"])), minNdcg=0.5),
        decided(items_of("mean absolute error", scores), maxMeanAbsoluteError=0.9),
        decided(items_of("perplexity", texts), maxPerplexity=9.0),
        decided(items_of("mean score", {name: [0.9, 1.0] * 50 for name in ("teacher", "student")}), minScore=0.5),
        decided(items_of("win rate", {"judge": ["student", "student", "tie", "reference"] * 50}), minWinRate=0.5),
    ]
    criteria = {each.name: each for verdict in found for each in verdict.criteria}
    assert {each.verdict for each in criteria.values()} == {"Pass"}
    assert criteria.keys() >= BELOW | ABSOLUTE.keys() | {"retention", "incumbent", "worstSlice", "robustness"}
    assert {name for name, each in criteria.items() if each.value < each.threshold} == BELOW
