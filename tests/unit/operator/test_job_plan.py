"""What the operator decides for a DistillationJob, stage by stage."""

import json

import pytest
from distillery_api.exits import OUT_OF_MEMORY, PERMANENT, STOPPED
from distillery_api.run import RUN, RUN_ANNOTATION
from distillery_api.schema import Failure
from distillery_api.student import ModelSource
from distillery_api.summary import LabelResult, Summary
from distillery_operator.job_plan import LOST_LIMIT
from distillery_operator.names import BATCH_JOB, JOB
from distillery_operator.settings import Settings
from distillery_operator.views import offers_to
from job_world import JobWorld
from stage_results import DIGESTS, RESULTS, criterion, preflight

ALL = ["small-12345678-preflight-1", "small-12345678-label-1", "small-12345678-train-1",
       "small-12345678-compress-1", "small-12345678-evaluate-1"]  # fmt: skip


def run_of(world: JobWorld) -> object:
    return RUN.validate_json(world.current()["spec"]["template"]["metadata"]["annotations"][RUN_ANNOTATION])


def to_stage(world: JobWorld, stage: str) -> JobWorld:
    """Bring the run to the point where that stage's Job has been created."""
    world.settle()
    while world.current()["metadata"]["labels"]["distillery.dev/stage"] != stage:
        world.succeed()
    return world


def finished(world: JobWorld, **verdict: object) -> JobWorld:
    to_stage(world, "evaluate")
    world.succeed(evaluate=world.verdict(**verdict))
    return world


def test_the_snapshot_and_the_first_attempt_are_stored_before_its_job_exists():
    world = JobWorld()
    world.step(dies="before the Jobs")
    assert world.status["resolved"]["images"]["train"] == "registry/worker@sha256:1"
    assert (world.stage("preflight")["jobName"], world.created) == (ALL[0], [])
    world.step()
    assert world.created == ALL[:1]


def test_a_job_that_is_deleted_before_its_pod_runs_is_created_again_under_the_next_number():
    world = JobWorld()
    for _ in range(LOST_LIMIT + 1):
        world.settle()
        world.gone()
    assert world.created[:2] == [ALL[0], "small-12345678-preflight-2"]
    assert world.condition("Ready")[1] == "AttemptsExhausted"


def test_settings_that_change_while_a_job_runs_do_not_reach_it():
    world = to_stage(JobWorld(), "label")
    resolved = world.status["resolved"]
    world.settings = Settings(worker_image="registry/worker@sha256:9", server_image="s", gpu_resource="amd.com/gpu")
    to_stage(world, "train")
    assert world.status["resolved"] == resolved
    assert world.current()["spec"]["template"]["spec"]["containers"][0]["image"] == "registry/worker@sha256:1"


def test_a_passing_run_creates_each_stage_once_in_order_and_ends_ready():
    world = finished(JobWorld())
    assert world.created == ALL
    assert world.condition("Ready")[:2] == ("True", "Passed")
    assert world.condition("Succeeded")[0] == "True"
    assert [stage["state"] for stage in world.status["stages"]] == ["Done"] * 5
    assert world.status["verdict"]["criteria"][0]["value"] == 0.963


def test_planning_again_changes_nothing_at_any_point_of_the_run():
    world = JobWorld()
    world.settle()
    for _ in ALL[:-1]:
        assert (world.plan().actions, world.plan().jobs) == ((), ())
        assert world.plan().status == world.status
        world.succeed()
    world.succeed(evaluate=world.verdict())
    assert world.plan().status == world.status


def test_digests_that_preflight_found_pin_the_inputs_of_later_stages():
    world = to_stage(JobWorld(), "train")
    run = run_of(world)
    assert run.teachers[0].model.digest == DIGESTS["teacher"]
    assert (run.labels_key, run.student_key) == (DIGESTS["labels"], DIGESTS["student"])


@pytest.mark.parametrize("number", [1, 2, 3])
def test_an_attempt_that_the_status_does_not_tell_of_is_taken_up_and_not_created_again(number: int):
    world = JobWorld()
    world.step()
    for _ in range(number - 1):
        world.settle()
        name = world.created[-1]
        world.store.remove(BATCH_JOB, ("team", name), f"uid-{name}")
    before = world.status
    world.step()
    world.put(JOB, {**world.job, "status": before})
    world.settle()
    assert len(world.created) == number
    assert world.status["stages"][0]["attempt"] == number
    assert world.status["stages"][0]["jobName"] == world.created[-1]


def test_no_label_job_starts_when_every_row_has_soft_labels():
    world = JobWorld()
    world.settle()
    world.succeed(preflight=preflight(missing=0))
    assert world.created == [ALL[0], ALL[2]]
    assert world.status["artifacts"]["reusedRows"] == 120
    assert world.condition("Labelled")[:2] == ("True", "Reused")


def test_a_skipped_label_stage_tells_how_many_rows_preflight_checked():
    world = JobWorld()
    world.settle()
    world.succeed(preflight=preflight(missing=0).model_copy(update={"rechecked_rows": 8}))
    assert world.status["artifacts"]["recheckedRows"] == 8
    assert world.status["stages"][1]["message"].endswith("this teacher; 8 were labelled again and agree")


def test_a_label_job_starts_when_grades_alone_are_missing():
    world = JobWorld()
    world.settle()
    graded = {"ungraded_rows": 7, "grades_key": DIGESTS["incumbent"]}
    world.succeed(preflight=preflight(missing=0).model_copy(update=graded))
    assert world.created == ALL[:2]
    assert world.status["artifacts"]["rows"] == {
        "train": 100, "unlabelled": 20, "test": 50, "missing": 0, "ungraded": 7,
    }  # fmt: skip
    assert world.status["artifacts"]["gradesKey"] == DIGESTS["incumbent"]


def test_no_label_job_starts_when_every_grade_is_stored():
    world = JobWorld()
    world.settle()
    world.succeed(preflight=preflight(missing=0).model_copy(update={"ungraded_rows": 0}))
    assert world.created == [ALL[0], ALL[2]]


def test_labelling_is_an_indexed_job_and_needs_a_result_from_every_shard():
    world = JobWorld(softLabels={"shards": 3, "parallelism": 2})
    to_stage(world, "label")
    spec = world.current()["spec"]
    assert (spec["completionMode"], spec["completions"], spec["parallelism"]) == ("Indexed", 3, 2)
    world.succeed(label=LabelResult(shard=0, labelled_rows=40, reused_rows=1, rechecked_rows=1))
    assert world.status["artifacts"]["labelledRows"] == 120
    assert world.status["artifacts"]["reusedRows"] == 3
    assert world.status["artifacts"]["recheckedRows"] == 3


def test_the_status_counts_what_the_filters_dropped_until_train_adds_its_own():
    world = JobWorld()
    world.settle()
    world.succeed(preflight=preflight().model_copy(update={"dropped_rows": {"length": 3}}))
    assert world.status["artifacts"]["droppedRows"] == {"length": 3}
    world.succeed()
    world.succeed(train=RESULTS["train"].model_copy(update={"dropped_rows": {"length": 3, "teacherMistakes": 2}}))
    assert world.status["artifacts"]["droppedRows"] == {"length": 3, "teacherMistakes": 2}


@pytest.mark.parametrize(
    ("verdict", "criteria", "reason"),
    [
        ("Fail", [criterion("Fail")], "RetentionBelowThreshold"),
        ("Fail", [criterion("Pass"), criterion("Fail", "incumbent")], "WorseThanIncumbent"),
        ("Inconclusive", [criterion("Inconclusive")], "Inconclusive"),
    ],
)
def test_a_student_that_does_not_pass_ends_the_run_with_the_gates_own_sentence(verdict, criteria, reason):
    world = finished(JobWorld(), result=verdict, criteria=criteria)
    deciding = next(c for c in criteria if c.verdict == verdict)
    assert world.condition("Ready") == ("False", reason, deciding.message)
    assert world.condition("Stalled")[0] == "True"
    assert world.condition("Reconciling")[0] == "False"
    assert world.condition("Succeeded")[0] == "False"


def test_a_wrong_input_is_a_condition_with_the_workers_words_and_starts_nothing_else():
    world = JobWorld()
    world.settle()
    world.fail("MissingColumn", "train.parquet has no column text; its columns are a, b: set dataset.columns.text")
    assert world.created == ALL[:1]
    assert world.condition("Ready")[1] == "MissingColumn"
    assert "set dataset.columns.text" in world.condition("Validated")[2]
    assert "MissingColumn" in world.notes


def test_a_terminal_job_stays_as_it_is_when_its_children_are_deleted():
    world = finished(JobWorld())
    before = world.status
    for name in ALL:
        job = world.store.get(BATCH_JOB, ("team", name))
        world.store.remove(BATCH_JOB, ("team", name), job["metadata"]["uid"])
    world.settle()
    assert world.status == before
    assert world.created == ALL


def test_a_done_stage_is_not_repeated_when_its_job_is_deleted():
    world = to_stage(JobWorld(), "train")
    for name in ALL[:2]:
        world.store.remove(BATCH_JOB, ("team", name), f"uid-{name}")
    world.settle()
    assert world.created == ALL[:3]


def test_a_job_deleted_by_hand_before_its_result_was_stored_runs_again_under_the_next_number():
    world = to_stage(JobWorld(), "train")
    world.store.remove(BATCH_JOB, ("team", ALL[2]), f"uid-{ALL[2]}")
    world.settle()
    assert world.created[-1] == "small-12345678-train-2"
    assert "StageRepeated" in world.notes


def test_a_complete_job_without_a_readable_message_runs_again_a_bounded_number_of_times():
    world = to_stage(JobWorld(), "compress")
    for _ in range(5):
        world.end_pod("not a summary")
        world.end_job("Complete")
        world.settle()
    assert [name for name in world.created if "compress" in name][-1] == "small-12345678-compress-5"
    assert world.condition("Ready")[1] == "AttemptsExhausted"


def test_an_unschedulable_pod_is_told_in_the_schedulers_words():
    world = JobWorld()
    world.settle()
    words = "0/1 nodes are available: 1 Insufficient nvidia.com/gpu."
    world.pod(phase="Pending", conditions=[
        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": words}])  # fmt: skip
    world.settle()
    assert world.condition("Reconciling")[1] == "Unschedulable"
    assert words in world.condition("Ready")[2]


def test_an_image_that_cannot_be_pulled_is_told_while_the_stage_waits():
    world = JobWorld()
    world.settle()
    world.pod(
        phase="Pending",
        containerStatuses=[{"state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}}],
    )
    world.settle()
    assert world.condition("Reconciling")[1:] == ("ImagePullBackOff", "the preflight stage waits: no such image")


def test_a_pod_out_of_memory_names_the_limit_to_raise():
    world = to_stage(JobWorld(), "train")
    world.end_pod("", code=137, reason="OOMKilled")
    world.end_job("Failed", reason="BackoffLimitExceeded")
    world.settle()
    assert world.condition("Ready")[1] == "OutOfMemory"
    assert "resources.limits.memory" in world.condition("Ready")[2]


def test_a_crash_without_a_message_shows_the_last_line_of_its_log():
    world = to_stage(JobWorld(), "train")
    world.end_pod("Traceback\nValueError: broken", code=1)
    world.end_job("Failed", reason="BackoffLimitExceeded")
    world.settle()
    assert world.condition("Ready")[1:] == ("WorkerFailed", "the last pod ended with exit code 1: ValueError: broken")


@pytest.mark.parametrize(
    "change", [{"gate_hash": "sha256:" + "0" * 64}, {"artifact_digest": "sha256:" + "0" * 64}], ids=["gate", "artifact"]
)
def test_a_verdict_about_something_else_does_not_count(change):
    world = finished(JobWorld(), **change)
    assert world.condition("Ready")[1] == "VerdictUntrusted"


def test_a_verdict_from_another_image_does_not_count_and_no_model_takes_it():
    world = to_stage(JobWorld(), "evaluate")
    world.current()["spec"]["template"]["spec"]["containers"][0]["image"] = "elsewhere/worker"
    world.succeed(evaluate=world.verdict())
    assert world.condition("Ready")[1] == "VerdictUntrusted"
    assert "verdict" not in world.status
    assert offers_to(("team", "served"), world.store) == []


def test_a_job_that_gets_no_pod_says_where_the_reason_stands():
    world = JobWorld()
    world.settle()
    assert 0 < world.plan().requeue_after <= 20
    world.clock += 30
    world.settle()
    assert world.condition("Reconciling")[1] == "NoPod"
    for command in ("describe", "delete"):
        assert f"kubectl {command} job small-12345678-preflight-1" in world.condition("Ready")[2]
    words = 'Error creating: pods "small-12345678-preflight-1-*" is forbidden: exceeded quota: small'
    world.words.pods["small-12345678-preflight-1"] = words
    world.settle()
    assert words in world.condition("Ready")[2]


def test_a_forgotten_job_that_is_deleted_is_followed_by_the_next_number_by_another_operator_too():
    world = JobWorld()
    world.settle()
    world.clock += 30
    world.settle()
    world.remembered = None  # what an operator knows that has just started
    world.gone()
    assert world.created == ["small-12345678-preflight-1", "small-12345678-preflight-2"]


def test_the_student_is_compared_with_what_serves():
    world = JobWorld()
    world.serve(DIGESTS["incumbent"])
    to_stage(world, "evaluate")
    assert run_of(world).incumbent.digest == DIGESTS["incumbent"]


def test_another_student_that_begins_to_serve_meanwhile_means_evaluating_again():
    world = JobWorld()
    world.serve(None)
    to_stage(world, "evaluate")
    world.serve(DIGESTS["incumbent"])
    world.succeed(evaluate=world.verdict())
    assert world.created[-1] == "small-12345678-evaluate-2"
    assert run_of(world).incumbent.digest == DIGESTS["incumbent"]
    world.succeed(evaluate=world.verdict(incumbent_digest=DIGESTS["incumbent"]))
    assert world.condition("Ready")[1] == "Passed"


def test_a_job_may_tighten_its_models_gate_and_never_loosen_it():
    world = JobWorld(gate={"minRetention": 0.5, "incumbentMargin": 0.0, "evidence": "Point"})
    world.serve(None)
    world.settle()
    tightened = {"minRetention": 0.95, "incumbentMargin": 0.0, "evidence": "Interval"}
    assert world.status["resolved"]["gate"] == tightened


def test_a_missing_model_is_a_condition_and_no_failure():
    world = finished(JobWorld())
    assert world.condition("Offered")[:2] == ("False", "ModelMissing")
    assert world.condition("Ready")[0] == "True"


def test_a_foreign_job_under_our_name_is_never_taken_over():
    world = JobWorld()
    world.step(dies="before the Jobs")
    world.refused[ALL[0]] = Failure(reason="NameTaken", message="a Job of another owner exists")
    world.settle()
    assert world.created == []
    assert world.condition("Stalled") == ("True", "NameTaken", "a Job of another owner exists")


def test_pod_settings_of_a_stage_reach_its_pod_and_no_other():
    stages = {
        "train": {
            "image": "team/worker:2", "gpus": 2, "nodeSelector": {"pool": "gpu"}, "serviceAccountName": "trainer",
            "tolerations": [{"key": "gpu", "operator": "Exists"}], "resources": {"requests": {"cpu": "1"}},
        }
    }  # fmt: skip
    world = to_stage(JobWorld(stages=stages), "train")
    pod = world.current()["spec"]["template"]["spec"]
    assert pod["containers"][0]["image"] == "team/worker:2"
    assert pod["containers"][0]["resources"] == {"requests": {"cpu": "1"}, "limits": {"nvidia.com/gpu": 2}}
    assert (pod["nodeSelector"], pod["serviceAccountName"]) == ({"pool": "gpu"}, "trainer")
    assert pod["tolerations"] == [{"key": "gpu", "operator": "Exists"}]
    world.succeed()
    assert "nodeSelector" not in world.current()["spec"]["template"]["spec"]


def test_pods_meet_the_restricted_pod_security_standard_and_hold_no_api_token():
    world = JobWorld()
    world.settle()
    pod = world.current()["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["containers"][0]["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert pod["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True


def test_credentials_reach_the_pod_by_reference_only():
    world = JobWorld(storage={"uri": "s3://bucket/team", "secretRef": {"name": "storage"}})
    world.settle()
    assert world.current()["spec"]["template"]["spec"]["containers"][0]["envFrom"] == [
        {"secretRef": {"name": "storage"}}
    ]


def test_claims_named_by_uris_are_mounted_once():
    world = JobWorld(storage={"uri": "pvc://data/team"}, dataset={
        "train": "pvc://data/train.csv", "test": "pvc://held-out/test.csv"})  # fmt: skip
    world.settle()
    pod = world.current()["spec"]["template"]["spec"]
    claims = [v["persistentVolumeClaim"]["claimName"] for v in pod["volumes"] if "persistentVolumeClaim" in v]
    assert claims == ["data", "held-out"]
    assert {m["mountPath"] for m in pod["containers"][0]["volumeMounts"]} >= {"/mnt/pvc/data", "/mnt/pvc/held-out"}


def test_a_given_student_is_mounted_and_pinned_by_what_preflight_found():
    world = JobWorld(student={"model": {"uri": "pvc://models/small"}})
    world.settle()
    world.succeed(preflight=preflight().model_copy(update={"student_model_digest": DIGESTS["artifact"]}))
    to_stage(world, "train")
    assert run_of(world).student.model == ModelSource(uri="pvc://models/small", digest=DIGESTS["artifact"])
    mounts = world.current()["spec"]["template"]["spec"]["containers"][0]["volumeMounts"]
    assert "/mnt/pvc/models" in {mount["mountPath"] for mount in mounts}


def test_nodes_of_a_training_are_an_indexed_job_whose_pods_meet_at_the_first():
    world = to_stage(JobWorld(training={"nodes": 3}), "train")
    job = world.current()
    assert [job["spec"][name] for name in ("completionMode", "completions", "parallelism")] == ["Indexed", 3, 3]
    pod = job["spec"]["template"]["spec"]
    service = world.applied[pod["subdomain"]]
    assert (service["spec"]["clusterIP"], service["spec"]["publishNotReadyAddresses"]) == ("None", True)
    assert service["spec"]["selector"].items() <= job["spec"]["template"]["metadata"]["labels"].items()
    assert service["metadata"]["ownerReferences"] == job["metadata"]["ownerReferences"]
    first = f"{job['metadata']['name']}-0.{service['metadata']['name']}"
    assert {"name": "MASTER_ADDR", "value": first} in pod["containers"][0]["env"]


def test_a_training_is_done_when_every_node_has_said_so():
    world = to_stage(JobWorld(training={"nodes": 2}), "train")
    world.end_pod(Summary(stage="train", train=RESULTS["train"]).message(), index=0)
    world.end_job("Complete")
    world.settle()
    assert world.current()["metadata"]["name"].endswith("train-2")
    world.succeed()
    assert world.stage("train")["state"] == "Done"


def test_one_node_has_no_service_and_fails_as_often_as_it_may():
    alone, three = (to_stage(JobWorld(training={"nodes": nodes}), "train") for nodes in (1, 3))
    assert not alone.applied
    assert "subdomain" not in alone.current()["spec"]["template"]["spec"]
    assert (alone.current()["spec"]["backoffLimit"], three.current()["spec"]["backoffLimit"]) == (3, 9)


def test_a_service_that_kubernetes_refuses_fails_the_training():
    world = JobWorld(training={"nodes": 2})
    world.refused["small-12345678-train"] = Failure(reason="ChildRefused", message="Kubernetes refuses the Service: no")
    to_stage(world, "label").succeed()
    assert world.stage("train")["message"] == "Kubernetes refuses the Service: no"


def test_a_wrong_input_fails_the_job_at_once_and_a_pod_that_was_taken_away_costs_no_retry():
    world = JobWorld()
    world.settle()
    rules = world.current()["spec"]["podFailurePolicy"]["rules"]
    assert (rules[0]["action"], rules[0]["onPodConditions"][0]["type"]) == ("Ignore", "DisruptionTarget")
    assert (rules[1]["action"], rules[1]["onExitCodes"]["values"]) == ("Ignore", [STOPPED])
    assert (rules[2]["action"], rules[2]["onExitCodes"]["values"]) == ("FailJob", [PERMANENT, OUT_OF_MEMORY])


def test_the_run_file_is_the_annotation_of_the_pod_template():
    world = JobWorld()
    world.settle()
    template = world.current()["spec"]["template"]
    assert json.loads(template["metadata"]["annotations"][RUN_ANNOTATION])["stage"] == "preflight"
    assert template["spec"]["volumes"][0]["downwardAPI"]["items"][0]["path"] == "run.json"


def test_a_stage_whose_pods_have_not_begun_costs_no_second_status_write():
    world = to_stage(JobWorld(), "train")
    told = world.status
    world.put(BATCH_JOB, {**world.current(), "status": {"startTime": world.now, "active": 1}})
    world.pod(phase="Pending")
    assert world.plan().status == told
    world.run()
    stage = next(stage for stage in world.plan().status["stages"] if stage["name"] == "train")
    assert (stage["state"], stage["jobUid"]) == ("Running", world.current()["metadata"]["uid"])
