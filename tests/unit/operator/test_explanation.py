"""What the operator would do next, and why: as its own planning says."""

from distillery_operator.explanation import Explanation, explained, text, untouched
from distillery_operator.job_pass import Words
from distillery_operator.names import JOB, MODEL
from distillery_operator.planning import plan_object
from job_world import NAMESPACE, JobWorld
from model_world import ModelWorld


def explain(world: JobWorld | ModelWorld) -> Explanation:
    kind, name = (MODEL, "served") if isinstance(world, ModelWorld) else (JOB, "small")
    obj = world.store.get(kind, (NAMESPACE, name))
    return explained(obj, plan_object(kind, obj, world.store, world.settings, world.now, {}, {}, Words()), world.now)


def to_train() -> JobWorld:
    world = JobWorld()
    world.settle()
    world.succeed()
    world.succeed()
    return world


def test_a_new_job_gets_its_snapshot_first():
    found = explain(JobWorld())
    assert found["actions"] == []
    assert "resolved" in {change["field"] for change in found["statusChanges"]}


def test_a_stage_that_starts_is_told_with_its_attempt_after_the_status():
    found = explain(JobWorld())
    name = "small-12345678-preflight-1"
    assert found["jobs"] == [{"verb": "create", "kind": "Job", "name": name, "stage": "preflight", "attempt": 1}]
    steps = text(found).split("Why:")[0].splitlines()
    assert steps[-1] == f"  create Job {name}, attempt 1 of the preflight stage"
    assert any(step.startswith("  write status.stages") for step in steps)


def test_a_running_job_waits_and_says_for_what():
    world = to_train()
    world.run()
    found = explain(world)
    assert (found["actions"], found["statusChanges"], found["events"], found["jobs"]) == ([], [], [], [])
    assert {"type": "Ready", "status": "Unknown", "reason": "Training",
            "message": "the train stage is under way"} in found["why"]  # fmt: skip
    assert "Next:\n  nothing\n" in text(found)


def test_a_job_without_a_pod_is_looked_at_again():
    world = JobWorld()
    world.settle()
    found = explain(world)
    assert 0 < found["nextLookSeconds"] <= 20
    assert "It looks again in" in text(found)


def test_a_cut_over_is_told_in_the_order_of_its_writes():
    world = ModelWorld()
    world.finish_job("first", "a")
    world.settle()
    world.ready()
    found = explain(world)
    assert [(action["verb"], action["kind"]) for action in found["actions"]] == [
        ("merge", "DistilledModel"), ("apply", "Service")]  # fmt: skip
    assert found["events"][0]["reason"] == "Promoted"
    assert "post the Normal event Promoted: student of job first" in text(found)


def test_an_object_that_is_left_alone_says_why():
    found = untouched(JobWorld().job, "it is being deleted", "2026-01-01T00:00:00Z")
    assert text(found).endswith("The operator leaves it alone: it is being deleted.")
