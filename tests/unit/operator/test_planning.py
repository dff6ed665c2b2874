"""Objects that the operator cannot read: said once per generation, and a job that ended stays ended."""

import copy
from typing import Any

from distillery_operator.names import JOB, MODEL, Kind
from distillery_operator.planning import plan_object
from distillery_operator.plans import Plan
from job_world import SETTINGS, JobWorld
from model_world import ModelWorld
from recorded_states import judged


def plan(kind: Kind, world: JobWorld | ModelWorld, obj: dict[str, Any]) -> Plan:
    return plan_object(kind, obj, world.store, SETTINGS, world.now, {}, {}, {})


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
