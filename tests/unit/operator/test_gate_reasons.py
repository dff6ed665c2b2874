"""Every criterion by which the gate can fail has a reason of its own."""

import pytest
from distillery.report_page.page import TITLES
from distillery_api.distillationjob_status import VerdictStatus
from distillery_api.gate import GateSpec
from distillery_gate import (
    CostGate,
    Costs,
    ErrorItems,
    EvaluationItems,
    F1Items,
    Gate,
    Items,
    LikelihoodItems,
    Machine,
    PriceGate,
    RankingItems,
    RobustnessGate,
    SliceGate,
    decide,
)  # fmt: skip
from distillery_operator.event_reasons import VERDICTS
from distillery_operator.job_results import FAILED_BY, gate_failure
from stage_results import DIGESTS, criterion

RIGHT = [True, False] * 50
LABELS = EvaluationItems(
    ids=range(100), teacher=RIGHT, student=RIGHT, incumbent=RIGHT, control=RIGHT, slices=["a"] * 100,
    contaminated=[False] * 100,
    student_copies=[False] * 100, control_copies=[False] * 100, confidences={"student": [0.5] * 100},
    perturbed={"typos": RIGHT},
)  # fmt: skip
NAMED = F1Items(
    ids=range(4), teacher=[1] * 4, student=[1] * 4, gold=["a", "b"] * 2,
    answers={"teacher": ["a", "b"] * 2, "student": ["a", "b"] * 2},
)  # fmt: skip
QUERIES = RankingItems(ids=range(9), teacher=[1.0] * 9, student=[1.0] * 9, unranked=[0.5] * 9)
SCORES = ErrorItems(ids=range(9), teacher=[1.0] * 9, student=[1.0] * 9)
TEXTS = LikelihoodItems(ids=range(9), tokens=[3] * 9, teacher=[6.0] * 9, student=[6.0] * 9)
ASKED = {
    "min_accuracy": 0.5, "max_negative_flips": 0.5, "max_copied_errors": 0.5, "max_calibration_error": 0.5,
    "max_contamination": 0.5,
    "slices": SliceGate(min_retention=0.5),
    "robustness": RobustnessGate(max_accuracy_loss=0.5),
    "cost": CostGate(
        max_p50_ms=9.0, max_p99_ms=9.0, max_artifact_bytes=9, max_memory_bytes=9,
        price=PriceGate(core_hour=1.0, max_per_million=9.0),
    ),
}  # fmt: skip
COSTS = Costs(
    latency_ms=(1.0,) * 1000, cpu_ms=(1.0,) * 1000, inputs=9, artifact_bytes=8, memory_bytes=8,
    measured_on=Machine(cpu="cpu", threads=1, engine="engine"),
)  # fmt: skip


def names(items: Items, **asked: object) -> set[str]:
    return {each.name for each in decide(items, Gate(min_retention=0.5, **asked), costs=COSTS).criteria}


def test_every_criterion_of_the_gate_has_a_reason_and_a_title():
    found = names(LABELS, **ASKED) | names(SCORES, max_mean_absolute_error=2.0) | names(TEXTS, max_perplexity=9.0)
    found |= names(NAMED, min_f1=0.5) | names(QUERIES, min_ndcg=0.5)
    assert found == set(FAILED_BY) == set(TITLES)
    assert set(FAILED_BY.values()) <= VERDICTS


@pytest.mark.parametrize(("name", "reason"), [*FAILED_BY.items(), ("ofALaterVersion", "GateFailed")])
def test_a_verdict_that_fails_by_a_criterion_gives_its_reason_and_sentence(name: str, reason: str):
    verdict = VerdictStatus(
        result="Fail", criteria=[criterion("Pass"), criterion("Fail", name)], gate_hash=DIGESTS["artifact"],
        artifact_digest=DIGESTS["artifact"], report_uri="s3://bucket/report.json", report_digest=DIGESTS["report"],
    )  # fmt: skip
    failure = gate_failure(verdict, GateSpec())
    assert (failure.reason, failure.message) == (reason, f"{name}: Fail")
