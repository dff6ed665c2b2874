"""What a status says for the first time is counted once, by namespace; a namespace without objects has no series."""

import itertools

import pytest
from distillery_operator.accounting import account
from distillery_operator.metrics import keep_namespaces
from job_world import JobWorld
from model_world import ModelWorld
from prometheus_client import REGISTRY

TIMES = {"startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:07:30Z"}


@pytest.fixture(autouse=True)
def _no_series_of_other_tests():
    keep_namespaces(())


def value(metric: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(f"distillery_operator_{metric}", labels)


def stages(**fields: object) -> dict[str, object]:
    return {"stages": [{"name": "train", **fields}]}


def test_a_run_counts_each_stage_and_the_verdict_once():
    world = JobWorld()
    world.settle()
    statuses: list[dict[str, object]] = [{}]
    for _ in range(4):
        world.succeed()
        statuses += [world.status, world.status]
    world.succeed(evaluate=world.verdict())
    statuses.append(world.status)
    for before, after in itertools.pairwise(statuses):
        account("team", before, after)
    for stage in ("preflight", "label", "train", "compress", "evaluate"):
        assert value("stages_total", namespace="team", stage=stage, state="Done") == 1
    assert value("verdicts_total", namespace="team", result="Pass") == 1


def test_a_stage_that_ends_is_measured_from_start_to_finish():
    account("team", stages(state="Running"), stages(state="Failed", **TIMES))
    assert value("stage_seconds_sum", namespace="team", stage="train", state="Failed") == 450
    assert value("stage_seconds_count", namespace="team", stage="train", state="Failed") == 1


def test_gpu_seconds_grow_by_what_is_new_in_the_status():
    account("team", stages(state="Running"), stages(state="Running", gpuSeconds=40))
    account("team", stages(state="Running", gpuSeconds=40), stages(state="Done", gpuSeconds=100))
    assert value("gpu_seconds_total", namespace="team", stage="train") == 100


def test_a_decision_is_counted_by_outcome_and_reason():
    world = ModelWorld()
    world.finish_job("worse", "a", result="Fail")
    before = world.status
    world.settle()
    account("team", before, world.status)
    account("team", world.status, world.status)
    reason = {"outcome": "Rejected", "reason": "RetentionBelowThreshold"}
    assert value("decisions_total", namespace="team", **reason) == 1


def test_series_of_a_namespace_go_with_its_last_object():
    for namespace in ("team", "gone"):
        account(namespace, stages(state="Running"), stages(state="Done", **TIMES))
    keep_namespaces({"team"})
    labels = {"stage": "train", "state": "Done"}
    assert value("stages_total", namespace="gone", **labels) is None
    assert value("stage_seconds_count", namespace="gone", **labels) is None
    assert value("stages_total", namespace="team", **labels) == 1
