"""Two gates become the stricter one, criterion by criterion."""

from typing import Any

import pytest
from distillery_api.gate import TASKS_OF, GateSpec
from distillery_api.robustness import PERTURBATIONS_OF, RobustnessGate
from pydantic import ValidationError

FULL = {
    "metric": "ndcg", "minRetention": 0.9, "incumbentMargin": 0.02, "chanceAccuracy": 0.25, "minAccuracy": 0.8,
    "minF1": 0.7, "minNdcg": 0.6,
    "maxMeanAbsoluteError": 0.5, "maxPerplexity": 20.0, "maxNegativeFlips": 0.03, "maxCopiedErrors": 0.02,
    "maxCalibrationError": 0.05, "maxContamination": 0.01,
    "slices": {"minRetention": 0.8, "minItems": 100}, "evidence": "Point", "onInconclusive": "Extend", "firstRows": 500,
    "robustness": {"maxAccuracyLoss": 0.05, "perturbations": ["typos", "case"]},
    "cost": {
        "maxP50Ms": 5.0, "maxP99Ms": 20.0, "maxArtifactBytes": 20 * 2**20, "maxMemoryBytes": 2**28,
        "price": {"coreHour": 0.04, "maxPerMillion": 1.5}, "minMeasurements": 1000,
    },
}  # fmt: skip
COST = FULL["cost"]


def stricter(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    return GateSpec.model_validate(one).stricter(GateSpec.model_validate(other)).dump()


@pytest.mark.parametrize(
    ("name", "strict"),
    [
        ("minRetention", 0.95), ("incumbentMargin", 0.0), ("chanceAccuracy", 0.3), ("minAccuracy", 0.9),
        ("minF1", 0.75), ("minNdcg", 0.65),
        ("maxMeanAbsoluteError", 0.4), ("maxPerplexity", 10.0), ("maxNegativeFlips", 0.01), ("maxCopiedErrors", 0.01),
        ("maxCalibrationError", 0.03), ("maxContamination", 0.0),
        ("slices", {"minRetention": 0.85, "minItems": 100}), ("slices", {"minRetention": 0.8, "minItems": 150}),
        ("evidence", "Interval"), ("onInconclusive", "Fail"), ("firstRows", 1000),
        ("robustness", {"maxAccuracyLoss": 0.03, "perturbations": ["typos", "case"]}),
        ("robustness", {"maxAccuracyLoss": 0.05, "perturbations": ["typos", "case", "truncation"]}),
        ("robustness", {"maxAccuracyLoss": 0.05}),
        ("cost", COST | {"maxP50Ms": 4.0}), ("cost", COST | {"maxP99Ms": 19.0}), ("cost", COST | {"maxMemoryBytes": 9}),
        ("cost", COST | {"maxArtifactBytes": 9}), ("cost", COST | {"minMeasurements": 2000}),
        ("cost", COST | {"price": {"coreHour": 0.04, "maxPerMillion": 1.0}}),
        ("cost", COST | {"price": {"coreHour": 0.08, "maxPerMillion": 2.0}}),
    ],
)  # fmt: skip
def test_the_stricter_value_counts_whoever_sets_it(name: str, strict: Any) -> None:
    tightened = FULL | {name: strict}
    assert stricter(FULL, tightened) == stricter(tightened, FULL) == tightened


def test_a_criterion_that_one_of_two_sets_is_asked() -> None:
    assert stricter(FULL, {"metric": "ndcg", "minRetention": 0.9, "incumbentMargin": 0.02, "evidence": "Point"}) == FULL
    assert stricter({"minRetention": 0.9, "incumbentMargin": 0.02, "evidence": "Point"}, FULL) == FULL


def test_a_job_cannot_ask_for_less_evidence_than_its_model() -> None:
    assert stricter({"evidence": "Point"}, {})["evidence"] == "Interval"
    assert stricter({"evidence": "Point"}, {"evidence": "Point"})["evidence"] == "Point"


def test_a_gate_that_holds_undecided_students_lets_another_extend_first() -> None:
    extend = {"onInconclusive": "Extend", "firstRows": 200}
    merged = stricter({"onInconclusive": "Hold"}, extend)
    assert {name: merged[name] for name in extend} == extend


def test_every_criterion_is_compared() -> None:
    assert set(GateSpec.model_validate(FULL).dump()) == set(FULL)
    assert stricter(FULL, FULL) == FULL


def test_of_two_lists_of_perturbations_all_are_asked_in_one_order() -> None:
    one = {"minRetention": 0.9, "robustness": {"maxAccuracyLoss": 0.05, "perturbations": ["truncation"]}}
    other = {"minRetention": 0.9, "robustness": {"maxAccuracyLoss": 0.02, "perturbations": ["truncation", "typos"]}}
    both = {"maxAccuracyLoss": 0.02, "perturbations": ["typos", "truncation"]}
    assert stricter(one, other)["robustness"] == stricter(other, one)["robustness"] == both


def test_the_order_of_perturbations_is_no_other_gate() -> None:
    def gate(*names: str) -> GateSpec:
        return GateSpec.model_validate({"robustness": {"maxAccuracyLoss": 0.05, "perturbations": names}})

    assert gate("case", "typos").hash == gate("typos", "case").hash != gate("typos").hash


def test_a_gate_that_names_no_perturbations_asks_for_all_of_the_task() -> None:
    asked = RobustnessGate(max_accuracy_loss=0.05)
    assert asked.of("text-classification") == ("typos", "case", "truncation")
    assert asked.of("image-classification") == ("noise", "blur")
    assert RobustnessGate(max_accuracy_loss=0.05, perturbations=["blur"]).of("image-classification") == ("blur",)
    assert set(PERTURBATIONS_OF) == set(TASKS_OF["robustness"])


def test_bytes_are_compared_as_amounts_and_kept_as_numbers() -> None:
    one, other = {"cost": {"maxMemoryBytes": "1Gi"}}, {"cost": {"maxMemoryBytes": "200Mi"}}
    assert stricter(one, other)["cost"]["maxMemoryBytes"] == 200 * 2**20
    assert GateSpec.model_validate(one).hash == GateSpec.model_validate({"cost": {"maxMemoryBytes": 2**30}}).hash


def test_bytes_that_are_no_quantity_are_refused() -> None:
    with pytest.raises(ValidationError, match="'20 MB' is no Kubernetes quantity"):
        GateSpec.model_validate({"cost": {"maxArtifactBytes": "20 MB"}})
    with pytest.raises(ValidationError, match="greater than or equal to 1"):
        GateSpec.model_validate({"cost": {"maxArtifactBytes": "500m"}})


def test_of_two_metrics_none_is_stricter_and_that_of_the_model_counts() -> None:
    job, model = GateSpec(metric="macroF1"), GateSpec()
    assert job.stricter(model).metric is None
    assert model.stricter(job).metric == "macroF1"
