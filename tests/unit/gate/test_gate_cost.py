"""Ceilings of time, size, memory and price, from recorded measurements."""

import json
from typing import Any

import numpy as np
import pytest
from distillery_gate import Costs, Criterion, EvaluationItems, Gate, GateInputError, Look, costs_of, decide
from distillery_gate.verdict import COST_CRITERIA
from pydantic import ValidationError

RIGHT = [True, False] * 50
ITEMS = EvaluationItems(ids=range(100), teacher=RIGHT, student=RIGHT)
MACHINE = {"cpu": "Some CPU", "threads": 1, "engine": "Some Engine 1.0"}
RECORDED = {
    "latencyMs": [float(place) / 100 for place in range(1, 1001)], "cpuMs": [4.0, 6.0] * 500, "inputs": 250,
    "artifactBytes": 20 * 2**20, "memoryBytes": 100 * 2**20, "measuredOn": MACHINE,
}  # fmt: skip


def judged(asked: dict[str, Any], **changes: Any) -> Criterion:
    """The one criterion of a gate with these ceilings."""
    gate = Gate.model_validate({"minRetention": 0.5, "cost": asked})
    recorded = {name: value for name, value in (RECORDED | changes).items() if value is not None}
    _, found = decide(ITEMS, gate, costs=costs_of(recorded)).criteria
    return found


@pytest.mark.parametrize(
    ("ceiling", "verdict"), [(9.98, "Pass"), (9.9, "Inconclusive"), (9.94, "Inconclusive"), (9.8, "Fail")]
)
def test_a_p99_passes_below_its_interval_fails_above_and_is_else_inconclusive(ceiling: float, verdict: str) -> None:
    found = judged({"maxP99Ms": ceiling})
    assert (found.name, found.verdict, found.n) == ("latencyP99", verdict, 1000)
    assert found.low < found.value < found.high
    assert (found.low < ceiling < found.high) is (verdict == "Inconclusive")


def test_the_sentence_of_a_p99_names_the_quantile_the_answers_and_the_machine() -> None:
    said = judged({"maxP99Ms": 20}).message
    assert said.startswith("99 % of answers take up to 9.900 ms (95 % interval 9.8")
    assert "n = 1,000, to 250 inputs on 1 thread of Some CPU in Some Engine 1.0)" in said
    assert said.endswith("; the gate asks for less than 20 ms.")


def test_an_inconclusive_p99_says_how_many_answers_would_show_it_where_any_would() -> None:
    found = judged({"maxP99Ms": 9.945})
    assert found.items_needed is not None
    assert found.items_needed > 1000
    assert f"{found.items_needed:,} such answers would show it with 80 % power" in found.message
    hopeless = judged({"maxP99Ms": 9.9})
    assert hopeless.items_needed is None
    assert "more answers like these would not show it" in hopeless.message


def test_too_few_answers_for_a_bound_are_inconclusive_and_say_how_many_it_takes() -> None:
    few = {"latencyMs": [1.0] * 300}
    found = judged({"maxP99Ms": 9, "minMeasurements": 100}, **few)
    assert (found.verdict, found.high, found.items_needed) == ("Inconclusive", 1e6, 368)
    assert judged({"maxP99Ms": 0.5, "minMeasurements": 100}, **few).verdict == "Fail"


def test_the_median_has_a_ceiling_of_its_own() -> None:
    assert (judged({"maxP50Ms": 5.5}).verdict, judged({"maxP50Ms": 4.5}).verdict) == ("Pass", "Fail")
    assert judged({"maxP50Ms": 5.5}).name == "latencyP50"


@pytest.mark.parametrize(
    ("field", "name", "ceiling"),
    [("maxArtifactBytes", "artifactBytes", 20 * 2**20), ("maxMemoryBytes", "memoryBytes", 100 * 2**20)],
)
def test_a_size_passes_up_to_its_ceiling_and_has_no_interval(field: str, name: str, ceiling: int) -> None:
    found = judged({field: ceiling})
    assert (found.name, found.verdict, found.n) == (name, "Pass", 1)
    assert found.low == found.value == found.high == ceiling
    over = judged({field: ceiling - 1})
    assert over.verdict == "Fail"
    assert f"({ceiling:,} bytes)" in over.message


@pytest.mark.parametrize(("most", "verdict"), [(0.06, "Pass"), (0.05556, "Inconclusive"), (0.05, "Fail")])
def test_a_million_answers_cost_their_cpu_time(most: float, verdict: str) -> None:
    found = judged({"price": {"coreHour": 0.04, "maxPerMillion": most}})
    assert (found.name, found.verdict) == ("costPerMillion", verdict)
    assert found.value == pytest.approx(1e6 * 0.005 / 3600 * 0.04)
    t = 1.96234  # of 999 degrees of freedom at 0.025
    spread = np.std(RECORDED["cpuMs"], ddof=1) / 1000**0.5 / 1000 / 3600 * 1e6 * 0.04
    assert found.high - found.value == pytest.approx(t * spread, rel=1e-4)
    assert found.value - found.low == pytest.approx(t * spread, rel=1e-4)


def test_every_ceiling_is_a_criterion_and_the_worst_is_the_verdict() -> None:
    price = {"coreHour": 0.04, "maxPerMillion": 1.5}
    asked = {"maxP50Ms": 6, "maxP99Ms": 20, "maxArtifactBytes": 2**30, "maxMemoryBytes": 2**30, "price": price}
    found = decide(ITEMS, Gate.model_validate({"minRetention": 0.5, "cost": asked}), costs=costs_of(RECORDED))
    names = [each.name for each in found.criteria[1:]]
    assert names == ["latencyP50", "latencyP99", "artifactBytes", "memoryBytes", "costPerMillion"]
    assert set(names) == COST_CRITERIA
    assert found.verdict == "Pass"
    slow = Gate.model_validate({"minRetention": 0.5, "cost": asked | {"maxP50Ms": 1}})
    assert decide(ITEMS, slow, costs=costs_of(RECORDED)).verdict == "Fail"


def test_times_are_judged_alike_whatever_part_of_the_items_was_seen() -> None:
    gate = Gate.model_validate({"minRetention": 0.5, "cost": {"maxP99Ms": 9.98}})
    first, last = (
        decide(ITEMS, gate, Look(number=2, shares=shares), costs_of(RECORDED)).criteria[1]
        for shares in ((0.1,), (0.1, 0.2, 1.0))
    )
    assert first == last == decide(ITEMS, gate, Look(number=2), costs_of(RECORDED)).criteria[1]


def test_more_items_are_no_way_out_where_times_alone_are_undecided() -> None:
    slow, clear = {"cost": {"maxP99Ms": 9.94}}, {"minRetention": 0.5}
    assert decide(ITEMS, Gate.model_validate(clear | slow), costs=costs_of(RECORDED)).may_extend is False
    assert decide(ITEMS, Gate.model_validate({"minRetention": 1.0} | slow), costs=costs_of(RECORDED)).may_extend is True
    assert decide(ITEMS, Gate.model_validate(clear)).may_extend is False


@pytest.mark.parametrize(
    ("asked", "changes", "words"),
    [
        ({"maxP99Ms": 9}, {"latencyMs": None}, "costs.latencyMs: missing; measure it"),
        ({"maxP99Ms": 9}, {"measuredOn": None}, "costs.measuredOn: missing"),
        ({"maxP99Ms": 9}, {"inputs": None}, "costs.inputs: missing"),
        ({"maxArtifactBytes": 9}, {"artifactBytes": None}, "costs.artifactBytes: missing"),
        ({"maxMemoryBytes": 9}, {"memoryBytes": None}, "costs.memoryBytes: missing"),
        ({"price": {"coreHour": 1.0, "maxPerMillion": 1.0}}, {"cpuMs": None}, "costs.cpuMs: missing"),
        ({"maxP99Ms": 9}, {"latencyMs": [1.0] * 999}, "has 999 answers, and cost.minMeasurements asks for 1,000"),
        ({"maxP99Ms": 9}, {"latencyMs": [1.0] * 999 + [float("nan")]}, "costs.latencyMs.999: Input should be"),
        ({"maxP99Ms": 9}, {"latencyMs": [1.0] * 999 + [-1.0]}, "costs.latencyMs.999: Input should be"),
        ({"maxP99Ms": 9}, {"latencyMs": [1.0] * 999 + ["1"]}, "costs.latencyMs.999: Input should be"),
        ({"maxP99Ms": 9}, {"memoryBytes": 0}, "costs.memoryBytes: Input should be"),
        ({"maxP99Ms": 9}, {"latencyS": 1}, "costs.latencyS: Extra inputs are not permitted"),
    ],
)  # fmt: skip
def test_costs_that_show_nothing_are_refused_with_the_field(
    asked: dict[str, Any], changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(GateInputError, match=words):
        judged(asked, **changes)


def test_a_gate_with_ceilings_asks_for_costs_and_one_without_for_none() -> None:
    with pytest.raises(GateInputError, match="costs: missing; measure what an answer costs, or leave cost out"):
        decide(ITEMS, Gate.model_validate({"minRetention": 0.5, "cost": {"maxP99Ms": 9}}))
    plain = Gate(min_retention=0.5)
    assert decide(ITEMS, plain) == decide(ITEMS, plain, costs=costs_of(RECORDED))
    assert costs_of(None) is None


@pytest.mark.parametrize(
    "asked",
    [{"maxP99Ms": 0}, {"maxP95Ms": 9}, {"price": {"coreHour": 0.04}}, {"maxArtifactBytes": "20Mi"}, {"price": 1.5}],
)
def test_ceilings_that_ask_nothing_sensible_are_refused(asked: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Gate.model_validate({"minRetention": 0.5, "cost": asked})


def test_costs_are_read_back_as_they_were_recorded() -> None:
    costs = costs_of(RECORDED)
    assert costs is not None
    assert costs_of(json.loads(costs.model_dump_json(by_alias=True))) == costs
    assert isinstance(costs, Costs)
