"""A job and the model that it promotes to are judged by one metric."""

import pytest
from distillery_operator.names import MODEL
from job_world import NAMESPACE, JobWorld
from stage_results import DIGESTS


def judged_by(job: str | None, model: str | None) -> JobWorld:
    """A new job and the model it promotes to, with the metrics of their gates."""
    world = JobWorld(**({"gate": {"metric": job}} if job else {}))
    world.serve(DIGESTS["incumbent"])
    held = world.store.get(MODEL, (NAMESPACE, "served"))
    if model:
        held["spec"]["promotion"] = {"gate": {"metric": model}}
    world.put(MODEL, held)
    world.settle()
    return world


@pytest.mark.parametrize(("job", "model"), [("macroF1", None), ("accuracy", "macroF1")])
def test_a_job_by_another_metric_than_its_models_gate_fails_before_anything_is_created(job: str, model: str | None):
    world = judged_by(job, model)
    status, reason, message = world.condition("Ready")
    assert (status, reason) == ("False", "GateInput")
    assert message.endswith(
        f"gate.metric: the job asks for {job}, and the gate of DistilledModel served for {model or 'accuracy'};"
        " remove it from the job, or set it in the model's gate"
    )
    assert world.created == []
    assert world.status["finishedAt"]


@pytest.mark.parametrize(
    ("job", "model", "metric"),
    [(None, "macroF1", "macroF1"), ("macroF1", "macroF1", "macroF1"), ("accuracy", None, None)],
)
def test_a_job_is_judged_by_the_metric_of_its_models_gate(job: str | None, model: str | None, metric: str | None):
    world = judged_by(job, model)
    assert world.created == ["small-12345678-preflight-1"]
    assert world.status["resolved"]["gate"].get("metric") == metric
