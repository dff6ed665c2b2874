"""Log lines are JSON, and those about an object name it, its generation and its stage."""

import json
import logging

from distillery_operator.logs import JsonFormatter, about
from distillery_operator.names import JOB
from job_world import NAMESPACE, JobWorld
from model_world import ModelWorld

OBJECT = {"kind": "DistillationJob", "namespace": "team", "name": "small", "uid": "12345678-aaaa"}


def line(message: str, **extra: object) -> dict[str, object]:
    record = logging.getLogger("test").makeRecord("test", logging.INFO, "f", 1, message, (), None, extra=extra)
    written: dict[str, object] = json.loads(JsonFormatter().format(record))
    return written


def test_a_line_about_a_running_job_has_object_generation_and_stage():
    world = JobWorld()
    world.settle()
    world.succeed()
    with about(world.store.get(JOB, (NAMESPACE, "small"))):
        written = line("wrote something")
    assert (written["object"], written["generation"], written["stage"]) == (OBJECT, 1, "label")
    assert written["message"] == "wrote something"


def test_a_line_may_be_about_another_stage_than_the_jobs():
    with about(JobWorld().job):
        assert line("wrote a Job", stage="train")["stage"] == "train"


def test_a_line_about_a_model_has_no_stage():
    with about(ModelWorld().held):
        written = line("wrote something")
    assert written["object"]["name"] == "served"
    assert "stage" not in written


def test_lines_after_an_object_do_not_name_it():
    with about(JobWorld().job):
        line("inside")
    assert "object" not in line("outside")
