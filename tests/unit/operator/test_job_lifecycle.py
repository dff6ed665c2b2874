"""Suspending, retrying, deadlines, GPU-seconds and tidying up: what a run may use up, and how it stops."""

import pytest
from distillery_api.exits import OUT_OF_MEMORY, STOPPED
from distillery_api.schema import Failure
from distillery_api.summary import Summary
from distillery_operator.names import BATCH_JOB
from distillery_operator.plans import Delete, seconds_between
from job_world import NAMESPACE, JobWorld
from test_job_plan import finished, to_stage

STAGES = ("preflight", "label", "train", "compress", "evaluate")
IMAGE_WAIT = [{"state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}}]


def attempts(world: JobWorld, stage: str) -> list[str]:
    return [name.rsplit("-", 1)[1] for name in world.created if f"-{stage}-" in name]


def out_of_memory(world: JobWorld) -> None:
    world.end_pod("", code=137, reason="OOMKilled")
    world.settle()


@pytest.mark.parametrize("stage", STAGES)
def test_suspending_ends_the_running_attempt_and_resuming_starts_the_next(stage: str):
    world = to_stage(JobWorld(), stage)
    world.run()
    world.change(suspend=True)
    assert world.condition("Reconciling")[:2] == ("True", "Stopping")
    world.gone()
    assert world.condition("Suspended")[:2] == ("True", "Suspended")
    assert [world.condition(kind)[0] for kind in ("Ready", "Reconciling", "Stalled")] == ["Unknown", "False", "False"]
    assert world.stage(stage)["state"] == "Suspended"
    assert attempts(world, stage) == ["1"]
    world.change(suspend=False)
    assert attempts(world, stage) == ["1", "2"]
    assert world.condition("Suspended")[0] == "False"
    assert "retries" not in world.stage(stage)


def test_the_reason_to_stop_is_stored_before_the_job_is_deleted():
    world = to_stage(JobWorld(), "train")
    world.run()
    world.edit(suspend=True)
    assert world.step().actions == ()
    assert world.stage("train")["ending"]["reason"] == "Suspended"
    assert [type(action) for action in world.step().actions] == [Delete]


def test_a_job_resumed_before_it_was_stopped_goes_on_with_the_same_attempt():
    world = to_stage(JobWorld(), "train")
    world.run()
    for suspend in (True, False):
        world.edit(suspend=suspend)
        assert world.step().actions == ()
    assert "ending" not in world.stage("train")
    assert attempts(world, "train") == ["1"]


def test_a_job_created_suspended_takes_its_snapshot_when_it_is_resumed():
    world = JobWorld(suspend=True)
    world.settle()
    assert (world.created, world.status.get("resolved"), world.status.get("startedAt")) == ([], None, None)
    assert world.condition("Suspended")[:2] == ("True", "Suspended")
    world.change(suspend=False)
    assert attempts(world, "preflight") == ["1"]


def test_a_stage_that_completes_while_it_is_suspended_keeps_its_result():
    world = to_stage(JobWorld(), "train")
    world.edit(suspend=True)
    world.succeed()
    assert world.stage("train")["state"] == "Done"
    assert attempts(world, "compress") == []
    world.change(suspend=False)
    assert attempts(world, "compress") == ["1"]


def test_a_failure_with_retries_left_is_counted_once_although_the_job_is_suspended():
    world = to_stage(JobWorld(stages={"train": {"retries": {"outOfMemory": 1}}}), "train")
    world.edit(suspend=True)
    world.end_pod("", code=OUT_OF_MEMORY)
    world.end_job("Failed", reason="PodFailurePolicy")
    failure = Failure(reason="OutOfMemory", message="out of memory")
    world.end_pod(Summary(stage="train", failure=failure).message(), code=OUT_OF_MEMORY)
    world.settle()
    assert world.stage("train")["state"] == "Suspended"
    world.change(suspend=False)
    assert world.stage("train")["retries"]["outOfMemory"] == 1
    assert attempts(world, "train") == ["1", "2"]


def test_out_of_memory_is_not_repeated_by_the_job_and_names_the_limit_that_is_set():
    world = to_stage(JobWorld(stages={"train": {"resources": {"limits": {"memory": "4Gi"}}}}), "train")
    out_of_memory(world)
    world.gone()
    assert world.condition("Ready")[1] == "OutOfMemory"
    assert "raise stages.train.resources.limits.memory, which is 4Gi" in world.condition("Ready")[2]


def test_out_of_memory_is_retried_as_often_as_its_own_budget_says():
    world = to_stage(JobWorld(stages={"train": {"retries": {"outOfMemory": 1}}}), "train")
    out_of_memory(world)
    world.gone()
    assert attempts(world, "train") == ["1", "2"]
    assert world.stage("train")["retries"]["outOfMemory"] == 1
    out_of_memory(world)
    world.gone()
    assert world.condition("Ready")[1] == "OutOfMemory"
    assert "1 of 1 retries are used" in world.condition("Ready")[2]


def test_a_job_fails_with_the_words_of_the_pod_that_crashed_and_not_of_one_that_was_stopped():
    world = to_stage(JobWorld(), "train")
    world.end_pod("Traceback\nValueError: broken", code=1, index=0)
    stopped = Summary(stage="train", failure=Failure(reason="Interrupted", message="the pod was stopped"))
    world.end_pod(stopped.message(), code=STOPPED, index=1)
    world.end_job("Failed", reason="BackoffLimitExceeded")
    world.settle()
    assert world.condition("Ready")[1:] == ("WorkerFailed", "the last pod ended with exit code 1: ValueError: broken")


def test_each_retry_is_an_event_of_its_own():
    world = to_stage(JobWorld(stages={"train": {"retries": {"outOfMemory": 2}}}), "train")
    told = []
    for _ in range(2):
        world.end_pod("", code=OUT_OF_MEMORY, reason="OOMKilled")
        world.end_job("Failed", reason="PodFailurePolicy")
        told += [note.message for note in world.plan().notes if note.reason == "StageRetried"]
        world.settle()
    assert [message.rsplit("; ", 1)[1] for message in told] == ["attempt 2 starts", "attempt 3 starts"]


def test_crashes_of_earlier_attempts_count_and_evictions_do_not():
    world = to_stage(JobWorld(), "train")
    assert world.current()["spec"]["backoffLimit"] == 3
    world.pod(index=1, phase="Failed")
    taken = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}
    world.pod(index=2, phase="Failed", conditions=[taken])
    world.settle()
    assert world.stage("train")["retries"]["infrastructure"] == 1
    world.change(suspend=True)
    world.gone()
    world.change(suspend=False)
    assert world.current()["spec"]["backoffLimit"] == 2
    world.pod(index=1, phase="Failed")
    world.settle()
    assert world.stage("train")["retries"]["infrastructure"] == 2


def test_a_pod_that_is_killed_while_it_is_deleted_is_no_crash():
    world = to_stage(JobWorld(), "train")
    world.run()
    world.change(suspend=True)
    world.end_pod("", code=137, deleted=True)
    world.settle()
    assert "retries" not in world.stage("train")


def test_an_image_that_stays_away_is_tried_again_and_then_fails_the_job():
    world = JobWorld()
    world.settle()
    for number in (1, 2):
        world.pod(phase="Pending", containerStatuses=IMAGE_WAIT)
        world.settle()
        assert 0 < world.plan().requeue_after <= 300
        assert attempts(world, "preflight")[-1] == str(number)
        world.clock += 301
        world.settle()
        world.gone()
    assert world.condition("Ready")[1] == "ImageUnavailable"
    assert "correct stages.preflight.image" in world.condition("Ready")[2]


def test_a_stage_without_a_pod_by_its_deadline_fails_in_the_schedulers_words():
    world = JobWorld(stages={"preflight": {"pendingDeadlineSeconds": 60}})
    world.settle()
    words = "0/1 nodes are available: 1 Insufficient cpu."
    world.pod(phase="Pending", conditions=[
        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": words}])  # fmt: skip
    world.settle()
    world.clock += 61
    world.settle()
    world.gone()
    status, reason, message = world.condition("Ready")
    assert (status, reason) == ("False", "PendingDeadlineExceeded")
    assert "stages.preflight.pendingDeadlineSeconds (60 s)" in message
    assert words in message


def test_a_stage_that_runs_too_long_is_stopped_and_keeps_what_it_made():
    world = to_stage(JobWorld(stages={"train": {"activeDeadlineSeconds": 60}}), "train")
    world.run()
    assert 0 < world.plan().requeue_after <= 60
    world.clock += 61
    world.settle()
    assert world.running_jobs() == ["small-12345678-train-1"]
    world.gone()
    assert world.condition("Stalled")[:2] == ("True", "ActiveDeadlineExceeded")
    assert "stages.train.activeDeadlineSeconds (60 s)" in world.condition("Ready")[2]


def test_gpu_seconds_are_gpus_times_the_time_their_pods_run():
    world = to_stage(JobWorld(stages={"train": {"gpus": 2}}), "train")
    start = world.now
    world.run(at=start)
    assert world.stage("train")["gpusInUse"] == 2
    world.clock += 30
    end, seconds = world.now, seconds_between(start, world.now)
    world.clock += 30  # the operator was away when the pod ended
    world.end_pod("", code=1, finishedAt=end)
    world.settle()
    assert world.stage("train")["gpuSeconds"] == 2 * seconds
    assert world.stage("train")["gpusInUse"] == 0
    assert "gpuSeconds" not in world.stage("label")


def test_a_run_stops_at_its_limit_of_gpu_seconds_and_says_where_they_went():
    world = JobWorld(limits={"gpuSeconds": 100}, stages={"label": {"gpus": 1}, "train": {"gpus": 2}})
    to_stage(world, "label")
    start = world.now
    world.run(at=start)
    world.clock += 40
    world.settle()
    end = world.now
    stage = Summary(stage="label", label={"shard": 0, "labelled_rows": 120, "reused_rows": 0})
    world.end_pod(stage.message(), finishedAt=end, startedAt=start)
    world.end_job("Complete")
    world.settle()
    used = world.stage("label")["gpuSeconds"]
    assert used >= 40
    world.run(at=world.now)
    assert world.plan().requeue_after <= (100 - used) / 2
    world.clock += 40
    world.settle()
    world.gone()
    assert world.condition("Ready")[1] == "GpuSecondsUsedUp"
    assert "limits.gpuSeconds (100)" in world.condition("Ready")[2]
    assert f"label {used:.0f}" in world.condition("Ready")[2]


def test_no_stage_with_gpus_begins_once_the_limit_is_reached():
    world = JobWorld(limits={"gpuSeconds": 10}, stages={"label": {"gpus": 1}, "train": {"gpus": 1}})
    to_stage(world, "label")
    start = world.now
    world.run(at=start)
    world.clock += 9
    stage = Summary(stage="label", label={"shard": 0, "labelled_rows": 120, "reused_rows": 0})
    world.clock += 5  # it ended just after the limit, before anybody looked
    world.end_pod(stage.message(), finishedAt=world.now, startedAt=start)
    world.end_job("Complete")
    world.settle()
    assert attempts(world, "train") == []
    assert world.condition("Ready")[1] == "GpuSecondsUsedUp"


def test_children_go_when_their_time_to_live_is_over_and_the_status_stands():
    world = finished(JobWorld(ttlSecondsAfterFinished=60))
    before = world.status
    assert 0 < world.plan().requeue_after <= 60
    world.clock += 61
    plan = world.step()
    assert sorted(action.name for action in plan.actions) == sorted(world.created)
    assert all(action.foreground for action in plan.actions)
    assert world.status == before
    assert world.step().actions == ()


def test_a_job_stopped_by_hand_in_the_foreground_is_not_taken_for_gone_until_it_is():
    world = to_stage(JobWorld(), "train")
    world.run()
    world.leave(world.created[-1])
    world.settle()
    assert attempts(world, "train") == ["1"]
    world.gone()
    assert attempts(world, "train") == ["1", "2"]
    assert world.store.get(BATCH_JOB, (NAMESPACE, world.created[-1])) is not None
    assert world.stage("train")["retries"]["lost"] == 1


@pytest.mark.parametrize("stage", ["preflight", "train"])
def test_a_job_that_kubernetes_does_not_take_for_now_is_told_and_tried_again(stage: str):
    world = JobWorld()
    if stage == "train":
        to_stage(world, "label")
    name = f"small-12345678-{stage}-1"
    words = "403 exceeded quota: jobs"
    world.refused[name] = Failure(reason="JobNotCreated", message=words)
    if stage == "train":
        world.end_pod(Summary(stage="label", label={"shard": 0, "labelled_rows": 120, "reused_rows": 0}).message())
        world.end_job("Complete")
    for _ in range(3):
        assert [job.body["metadata"]["name"] for job in world.step().jobs] == [name]
    assert world.condition("Reconciling") == ("True", "JobNotCreated", f"the {stage} stage waits: {words}")
    assert world.stage(stage) == {"name": stage, "state": "Pending", "attempt": 1, "jobName": name}
    assert stage == "preflight" or world.stage("label")["state"] == "Done"
    world.refused.clear()
    world.settle()
    assert world.condition("Reconciling")[1] != "JobNotCreated"


def test_a_repetition_that_cannot_be_created_for_now_is_counted_once():
    world = to_stage(JobWorld(), "train")
    world.settle()
    world.refused["small-12345678-train-2"] = Failure(reason="JobNotCreated", message="503 webhook away")
    world.store.remove(BATCH_JOB, (NAMESPACE, world.created[-1]), world.current()["metadata"]["uid"])
    for _ in range(3):
        world.step()
        assert world.stage("train")["retries"]["lost"] == 1
    world.refused.clear()
    world.settle()
    assert world.stage("train")["retries"]["lost"] == 1
    assert attempts(world, "train") == ["1", "2"]
