"""Objects that the operator cannot read: said once, and nothing else suffers from them."""

import copy
from typing import Any

from distillery_operator.cluster import Cluster
from distillery_operator.job_pass import Words
from distillery_operator.names import JOB, MODEL, Kind
from distillery_operator.operator import Operator
from distillery_operator.planning import plan_object
from distillery_operator.plans import Plan
from job_world import NAMESPACE, SETTINGS, JobWorld
from model_world import ModelWorld
from recorded_states import job_whose_model_cannot_be_read, judged, model_with_a_job_it_cannot_read, obscure, reveal
from stage_results import DIGESTS
from test_job_plan import run_of, to_stage


def plan(kind: Kind, world: JobWorld | ModelWorld, obj: dict[str, Any]) -> Plan:
    return plan_object(kind, obj, world.store, SETTINGS, world.now, {}, {}, Words())


def unreadable(obj: dict[str, Any], **fields: Any) -> dict[str, Any]:
    broken = copy.deepcopy(obj) | fields
    broken["spec"]["task"] = "text-generation"
    return broken


def test_an_object_that_cannot_be_read_names_the_field_and_is_told_once():
    world = ModelWorld()
    first = plan(MODEL, world, unreadable(world.held))
    assert [note.reason for note in first.notes] == ["InvalidSpec"]
    assert first.status["conditions"][0]["message"].startswith("task: ")
    again = plan(MODEL, world, unreadable(world.held, status=first.status))
    assert (again.status, again.notes) == (first.status, ())


def test_an_edit_that_does_not_help_is_seen_all_the_same():
    world = ModelWorld()
    first = plan(MODEL, world, unreadable(world.held))
    edited = unreadable(world.held, status=first.status, metadata={**world.held["metadata"], "generation": 2})
    assert plan(MODEL, world, edited).status["observedGeneration"] == 2


def test_a_model_that_cannot_be_read_keeps_what_serves_and_its_history():
    world = ModelWorld()
    serving = {"active": {"revision": "r1"}, "history": [{"job": "first"}], "url": "http://served.team.svc"}
    status = plan(MODEL, world, unreadable(world.held, status=serving)).status
    assert {name: status[name] for name in serving} == serving


def test_a_job_that_ended_keeps_its_verdict_though_it_cannot_be_read_any_more():
    world = judged("Pass")
    status = plan(JOB, world, unreadable(world.job, status=world.status)).status
    assert status == world.status


def test_a_job_that_ended_takes_note_of_an_edit_and_changes_nothing_else():
    world = judged("Pass")
    before = world.status
    world.edit(suspend=True)
    world.settle()
    assert world.status == {**before, "observedGeneration": 2}


def test_a_finished_job_that_cannot_be_read_is_told_once_and_the_model_goes_on_without_it():
    world = model_with_a_job_it_cannot_read()
    status, reason, message = world.condition("CandidateRejected")
    assert (status, reason) == ("True", "JobUnreadable")
    assert message.startswith("job second cannot be read: task: ")
    assert world.notes.count("JobUnreadable") == 1
    assert world.condition("Ready")[:2] == ("True", "Serving")
    world.promote("third", "c", incumbent="a")
    assert world.routed_to() == "c"
    assert world.notes.count("JobUnreadable") == 1
    assert [entry["job"] for entry in world.status["history"]] == ["first", "third"]


def test_a_job_that_can_be_read_again_is_offered():
    world = model_with_a_job_it_cannot_read()
    reveal(world, JOB, "second")
    world.settle()
    world.ready()
    world.settle()
    assert world.routed_to() == "b"
    assert world.condition("CandidateRejected")[0] == "False"


def test_a_job_that_cannot_be_read_is_forgotten_when_it_is_deleted():
    world = model_with_a_job_it_cannot_read()
    world.store.remove(JOB, (NAMESPACE, "second"), "second")
    world.settle()
    assert world.condition("CandidateRejected")[0] == "False"


def test_what_was_decided_on_a_job_stands_though_it_cannot_be_read_any_more():
    world = ModelWorld()
    world.promote("first", "a")
    before = world.status
    obscure(world, JOB, "first")
    plan = world.step()
    assert (plan.status, plan.notes) == (before, ())


def test_of_many_jobs_that_cannot_be_read_the_newest_are_named():
    world = ModelWorld()
    for name in ("first", "second", "third", "fourth", "fifth"):
        world.finish_job(name, "a")
        obscure(world, JOB, name)
    world.settle()
    message = world.condition("CandidateRejected")[2]
    assert message.startswith("job fifth cannot be read")
    assert "and 2 more" in message


def test_a_new_job_whose_model_cannot_be_read_waits_with_its_snapshot():
    world = job_whose_model_cannot_be_read()
    assert world.condition("Ready")[:2] == ("Unknown", "ModelUnreadable")
    assert "DistilledModel served cannot be read: task: " in world.condition("Ready")[2]
    assert world.condition("Offered")[:2] == ("False", "ModelUnreadable")
    assert "resolved" not in world.status
    assert world.created == []
    reveal(world, MODEL, "served")
    world.settle()
    assert world.created == ["small-12345678-preflight-1"]


def test_a_running_job_whose_model_cannot_be_read_goes_on_until_its_student_is_to_be_judged():
    world = JobWorld()
    world.serve(DIGESTS["incumbent"])
    to_stage(world, "train")
    obscure(world, MODEL, "served")
    world.succeed()
    world.succeed()
    assert world.created[-1] == "small-12345678-compress-1"
    assert world.condition("Ready")[1] == "ModelUnreadable"
    reveal(world, MODEL, "served")
    world.settle()
    assert run_of(world).incumbent.digest == DIGESTS["incumbent"]


def test_a_verdict_that_comes_while_the_model_cannot_be_read_is_kept_for_later():
    world = JobWorld()
    world.serve(DIGESTS["incumbent"])
    to_stage(world, "evaluate")
    obscure(world, MODEL, "served")
    world.succeed(evaluate=world.verdict(incumbent_digest=DIGESTS["incumbent"]))
    assert world.condition("Ready")[1] == "ModelUnreadable"
    assert "verdict" not in world.status
    reveal(world, MODEL, "served")
    world.settle()
    assert world.condition("Ready")[1] == "Passed"
    assert world.created[-1] == "small-12345678-evaluate-1"


def test_a_job_whose_model_cannot_be_read_is_suspended_like_any_other():
    world = job_whose_model_cannot_be_read()
    world.change(suspend=True)
    assert world.condition("Ready")[1] == "Suspended"
    world = JobWorld()
    world.serve(None)
    to_stage(world, "compress")
    obscure(world, MODEL, "served")
    world.succeed()
    world.change(suspend=True)
    assert world.condition("Ready")[1] == "Suspended"


async def test_a_target_of_another_type_harms_nobody():
    operator = Operator(Cluster(None), SETTINGS)
    operator.leading.set()
    world = ModelWorld()
    world.finish_job("first", "a")
    odd = copy.deepcopy(world.store.get(JOB, (NAMESPACE, "first")))
    odd["spec"]["promoteTo"] = "served"
    operator.seen(JOB, "ADDED", odd)
    assert operator.queue.waiting() == [(JOB, NAMESPACE, "first")]
    world.put(JOB, odd)
    world.settle()
    assert world.condition("Ready")[1] == "NoStudent"
