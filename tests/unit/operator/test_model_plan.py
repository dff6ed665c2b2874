"""What the operator decides for a DistilledModel: who serves, and how one student follows another."""

import copy

import pytest
from distillery_api.gate import GateSpec
from distillery_api.schema import Failure
from distillery_operator.names import ACTIVE_ANNOTATION, DEPLOYMENT, MODEL
from distillery_operator.offers import HISTORY
from distillery_operator.views import model_view
from model_world import ModelWorld, digest


def test_a_model_without_a_student_says_what_it_waits_for():
    world = ModelWorld()
    world.settle()
    assert world.condition("Ready")[:2] == ("False", "NoStudent")
    assert world.deployments() == []


def test_a_student_that_passed_serves_once_its_pods_are_ready():
    world = ModelWorld()
    world.finish_job("first", "a")
    world.settle()
    assert world.condition("Reconciling")[:2] == ("True", "Promoting")
    assert "url" not in world.status
    world.ready()
    world.settle()
    assert world.routed_to() == "a"
    assert world.condition("Ready")[:2] == ("True", "Serving")
    assert world.status["url"] == "http://served.team.svc"
    assert world.status["active"]["reportUri"] == "s3://bucket/team/report.json"
    assert world.status["history"][-1]["outcome"] == "Promoted"


def test_the_incumbent_serves_until_the_candidate_is_ready_and_lingers_after_the_cut_over():
    world = ModelWorld()
    world.promote("first", "a")
    world.finish_job("second", "b", incumbent="a")
    world.settle()
    assert (world.routed_to(), world.deployments()) == ("a", ["a", "b"])
    assert world.condition("Ready")[0] == "True"
    world.ready()
    plan = world.step()
    assert world.routed_to() == "b"
    assert world.deployments() == ["a", "b"]
    while plan.requeue_after is None:
        plan = world.step()
    assert 0 < plan.requeue_after <= 15
    world.clock += 20
    world.settle()
    assert world.deployments() == ["b"]


def test_a_cut_over_writes_one_annotation_and_no_spec():
    world = ModelWorld()
    world.finish_job("first", "a")
    world.settle()
    world.ready()
    (noted,) = (action.body for action in world.step().actions if action.kind == MODEL)
    assert {path: set(part) for path, part in noted.items()} == {"metadata": {"annotations"}}
    assert set(noted["metadata"]["annotations"]) == {ACTIVE_ANNOTATION}


@pytest.mark.parametrize(("result", "outcome"), [("Fail", "Rejected"), ("Inconclusive", "Held")])
def test_a_student_that_did_not_pass_never_serves_and_the_incumbent_is_untouched(result, outcome):
    world = ModelWorld()
    world.promote("first", "a")
    before = world.status["active"]
    world.finish_job("worse", "b", incumbent="a", result=result)
    world.settle()
    assert world.deployments() == ["a"]
    assert world.status["active"] == before
    assert world.condition("CandidateRejected")[0] == "True"
    assert world.condition("Ready")[0] == "True"
    assert world.status["history"][-1]["outcome"] == outcome


def test_a_changed_interface_is_held_back():
    world = ModelWorld()
    world.promote("first", "a")
    world.finish_job("relabelled", "b", incumbent="a", interface=digest("2"))
    world.settle()
    assert world.deployments() == ["a"]
    assert world.condition("CandidateRejected")[:2] == ("True", "InterfaceChanged")
    assert world.status["history"][-1]["outcome"] == "Held"


def test_evidence_against_another_incumbent_does_not_count():
    world = ModelWorld()
    world.promote("first", "a")
    world.finish_job("stale", "b", incumbent="c")
    world.settle()
    assert world.deployments() == ["a"]
    assert world.condition("CandidateRejected")[1] == "IncumbentChanged"


def test_a_verdict_under_a_looser_gate_than_the_models_does_not_count():
    world = ModelWorld()
    world.finish_job("early", "a", gate=GateSpec(min_retention=0.96))
    world.put(MODEL, {**world.held, "spec": {**world.held["spec"], "promotion": {"gate": {"minRetention": 0.99}}}})
    world.settle()
    assert world.deployments() == []
    assert world.condition("CandidateRejected")[1] == "GateChanged"


def test_a_server_that_refuses_the_artifact_ends_the_candidate_and_not_the_incumbent():
    world = ModelWorld()
    world.promote("first", "a")
    world.finish_job("broken", "b", incumbent="a")
    world.settle()
    world.refuse("b", "model.onnx: digest differs")
    world.settle()
    assert world.deployments() == ["a"]
    assert world.routed_to() == "a"
    assert world.condition("CandidateRejected") == (
        "True",
        "CandidateFailed",
        "student of job broken: model.onnx: digest differs",
    )


def test_a_candidate_without_room_beside_the_incumbent_is_given_up_and_the_incumbent_serves():
    world = ModelWorld()
    world.promote("first", "a")
    world.finish_job("second", "b", incumbent="a")
    world.settle()
    candidate = next(held for held in world.store.all(DEPLOYMENT) if world.artifact_of(held) == "b")
    world.fail(candidate, "has timed out progressing")
    world.settle()
    assert (world.routed_to(), world.deployments()) == ("a", ["a"])
    assert world.condition("CandidateRejected")[:2] == ("True", "CandidateFailed")
    assert world.condition("Ready")[0] == "True"


def test_the_newest_of_several_students_serves_and_the_others_are_recorded():
    world = ModelWorld()
    world.finish_job("one", "a")
    world.finish_job("two", "b")
    world.settle()
    world.ready()
    world.settle()
    assert world.routed_to() == "b"
    assert {entry["job"]: entry["reason"] for entry in world.status["history"]} == {
        "one": "Superseded",
        "two": "Promoted",
    }


def test_a_job_that_made_what_serves_once_more_passes_no_other_student_over():
    world = ModelWorld()
    world.promote("first", "a")
    world.finish_job("second", "b", incumbent="a")
    world.finish_job("first-again", "a", incumbent="a", report="s3://bucket/team/another.json")
    world.settle()
    world.ready()
    world.settle()
    assert world.routed_to() == "b"
    assert {entry["job"]: entry["outcome"] for entry in world.status["history"]} == {
        "first": "Promoted",
        "second": "Promoted",
        "first-again": "Promoted",
    }


def test_a_candidate_reaches_the_incumbents_size_before_the_cut_over():
    world = ModelWorld(serving={"autoscaling": {"minReplicas": 1, "maxReplicas": 5}})
    world.promote("first", "a")
    world.scale(world.store.all(DEPLOYMENT)[0]["metadata"]["name"], 3)
    world.ready()
    world.settle()
    world.finish_job("second", "b", incumbent="a")
    world.step()
    sizes = {world.artifact_of(d): d["spec"]["replicas"] for d in world.store.all(DEPLOYMENT)}
    assert sizes == {"a": 3, "b": 3}


def test_the_autoscaler_follows_the_active_revision_and_its_size_is_left_alone():
    world = ModelWorld(serving={"autoscaling": {"minReplicas": 2, "maxReplicas": 5}})
    world.promote("first", "a")
    first = world.autoscaler()
    assert (first["minReplicas"], first["maxReplicas"]) == (2, 5)
    world.scale(first["scaleTargetRef"]["name"], 4)
    world.ready()
    world.settle()
    assert world.store.all(DEPLOYMENT)[0]["spec"]["replicas"] == 4
    world.promote("second", "b", incumbent="a")
    assert world.autoscaler()["scaleTargetRef"]["name"] != first["scaleTargetRef"]["name"]


def test_a_fixed_number_of_replicas_is_kept_and_an_autoscaler_removed():
    world = ModelWorld(serving={"autoscaling": {"minReplicas": 1, "maxReplicas": 5}})
    world.promote("first", "a")
    world.put(MODEL, {**world.held, "spec": {"task": "text-classification", "serving": {"replicas": 2}}})
    world.settle()
    world.ready()
    world.settle()
    assert world.autoscaler() is None
    assert world.store.all(DEPLOYMENT)[0]["spec"]["replicas"] == 2


def test_a_change_of_serving_settings_cuts_over_without_a_new_verdict():
    world = ModelWorld()
    world.promote("first", "a")
    old = world.status["active"]["revision"]
    world.put(MODEL, {**world.held, "spec": {"task": "text-classification", "serving": {"drainSeconds": 30}}})
    world.settle()
    assert world.status["active"]["revision"] == old
    world.ready()
    world.settle()
    assert world.status["active"]["revision"] != old
    assert world.status["active"]["digest"] == digest("a")


def test_a_model_restored_without_its_status_remembers_what_serves():
    world = ModelWorld()
    world.promote("first", "a")
    world.promote("second", "b", incumbent="a")
    restored = copy.deepcopy(world.held)
    restored.pop("status")
    world.put(MODEL, restored)
    world.settle()
    assert world.routed_to() == "b"
    assert world.status["active"]["digest"] == digest("b")
    assert world.deployments() == ["b"]


def test_finished_jobs_restored_from_a_backup_are_not_offered_again():
    world = ModelWorld()
    world.promote("first", "a")
    world.promote("second", "b", incumbent="a")
    before = world.status
    world.restore_job("first")
    world.restore_job("second")
    world.settle()
    assert world.status == before


def test_the_job_of_what_serves_stays_promoted_when_job_and_model_were_both_restored():
    world = ModelWorld()
    world.promote("first", "a")
    active = world.status["active"]
    world.restore_job("first")
    world.put(MODEL, {**world.held, "status": {}})
    world.settle()
    assert world.status["active"] == active
    assert [entry["outcome"] for entry in world.status["history"]] == ["Promoted"]
    assert world.condition("CandidateRejected")[0] == "False"


def test_a_job_that_runs_again_under_its_name_is_offered_again():
    world = ModelWorld()
    world.promote("first", "a")
    world.finish_job("first", "b", incumbent="a")
    world.restore_job("first")
    world.settle()
    assert world.deployments() == ["a", "b"]


def test_a_full_history_neither_grows_nor_turns_over_without_end():
    world = ModelWorld()
    world.promote("first", "a")
    for number in range(HISTORY + 5):
        world.finish_job(f"worse-{number}", "b", incumbent="a", result="Fail")
    world.settle()
    assert len(world.status["history"]) == HISTORY


def test_a_model_of_many_jobs_looks_only_at_those_that_its_history_still_reaches():
    world = ModelWorld()
    for number in range(HISTORY + 15):
        world.finish_job(f"job-{number:02d}", "b", result="Fail")
        world.settle()
    assert len(model_view(world.held, world.store, {}).offers) <= HISTORY + 1


def test_a_crash_between_annotation_and_status_changes_nothing_of_the_outcome():
    world = ModelWorld()
    world.promote("first", "a")
    world.finish_job("second", "b", incumbent="a")
    world.settle()
    world.ready()
    before = world.held
    world.step()
    world.put(MODEL, {**world.held, "status": before["status"]})  # the status write was lost
    world.settle()
    assert world.routed_to() == "b"
    assert [entry["reason"] for entry in world.status["history"]] == ["Promoted", "Promoted"]


def test_the_first_promotion_stands_in_the_history_even_where_its_status_write_was_lost():
    world = ModelWorld()
    world.finish_job("first", "a")
    world.settle()
    world.ready()
    world.step(write_status=False)
    world.settle()
    world.promote("second", "b", incumbent="a")
    assert [(entry["job"], entry["outcome"]) for entry in world.status["history"]] == [
        ("first", "Promoted"), ("second", "Promoted"),
    ]  # fmt: skip
    assert world.condition("CandidateRejected")[0] == "False"


def test_a_settings_change_that_does_not_come_up_says_why_while_the_old_revision_serves():
    world = ModelWorld()
    world.promote("first", "a")
    world.put(MODEL, {**world.held, "spec": {"task": "text-classification", "serving": {"drainSeconds": 30}}})
    world.settle()
    world.fail(next(d for d in world.store.all(DEPLOYMENT) if "status" not in d), "timed out")
    world.settle()
    assert world.condition("Stalled")[1] == "RevisionFailing"
    assert "timed out" in world.condition("Stalled")[2]
    assert world.condition("Reconciling")[0] == "False"
    assert world.condition("Ready")[0] == "True"


def test_a_serving_student_whose_pods_never_come_back_is_not_called_starting():
    world = ModelWorld()
    world.promote("first", "a")
    world.fail(world.store.all(DEPLOYMENT)[0], "timed out")
    world.settle()
    assert world.condition("Ready") == ("False", "NotAvailable", "timed out")
    assert world.condition("Stalled") == ("True", "NotAvailable", "timed out")
    assert world.condition("Reconciling")[0] == "False"


def test_a_model_that_waits_for_a_person_does_not_claim_to_get_on_by_itself():
    world = ModelWorld()
    world.finish_job("first", "a")
    world.settle()
    world.ready()
    world.refused = {"served": Failure(reason="NameTaken", message="a Service served of another owner exists")}
    world.settle()
    assert world.condition("Stalled")[:2] == ("True", "NameTaken")
    assert world.condition("Reconciling")[:2] == ("False", "NameTaken")


def test_a_model_whose_service_is_anothers_is_not_ready_though_its_pods_are():
    world = ModelWorld()
    world.promote("first", "a")
    world.lose_service()
    world.step()
    assert world.condition("Ready") == ("False", "NameTaken", "a Service served of another owner exists")


def test_a_model_has_a_url_only_while_the_service_is_its_own():
    world = ModelWorld()
    world.promote("first", "a")
    world.lose_service()
    world.settle()
    assert "url" not in world.status
    world.refused.clear()
    world.settle()
    assert world.status["url"] == "http://served.team.svc"
