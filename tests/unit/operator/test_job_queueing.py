"""A queue holds stages back, lets them go and takes them back: what the job shows, and what that costs it."""

from distillery_api.exits import STOPPED
from job_world import JobWorld
from test_job_lifecycle import attempts
from test_job_plan import to_stage


def test_queue_and_priorities_stand_on_the_job_and_its_pods():
    world = JobWorld(queueName="gpus", queuePriorityClassName="research", priorityClassName="batch")
    world.settle()
    labels = world.current()["metadata"]["labels"]
    assert (labels["kueue.x-k8s.io/queue-name"], labels["kueue.x-k8s.io/priority-class"]) == ("gpus", "research")
    assert world.current()["spec"]["template"]["spec"]["priorityClassName"] == "batch"
    assert not any("kueue" in label for label in world.current()["spec"]["template"]["metadata"]["labels"])


def test_time_in_a_queue_is_no_pending_time():
    world = JobWorld(queueName="gpus", stages={"preflight": {"pendingDeadlineSeconds": 60}})
    world.settle()
    world.hold_in_queue()
    world.clock += 600
    world.settle()
    assert world.condition("Suspended")[:2] == ("True", "Queued")
    assert "LocalQueue gpus has not admitted Job small-12345678-preflight-1" in world.condition("Ready")[2]
    assert world.condition("Reconciling")[:2] == ("True", "Queued")
    world.let_go()  # and its controller has not given it a new start yet
    assert world.condition("Ready")[1] == "Validating"
    assert 0 < world.plan().requeue_after <= 20


def test_a_job_that_is_suspended_and_in_no_queue_says_what_to_set():
    world = JobWorld()
    world.settle()
    world.hold_in_queue()
    world.settle()
    assert world.condition("Suspended")[:2] == ("True", "Queued")
    assert world.condition("Ready")[2].endswith("apply the job under another name with spec.queueName")


def test_a_queue_that_the_cluster_gave_to_the_job_is_named():
    world = JobWorld()
    world.settle()
    world.hold_in_queue("default")
    world.settle()
    assert "LocalQueue default has not admitted Job small-12345678-preflight-1" in world.condition("Ready")[2]


def test_the_queue_s_own_words_say_why_a_stage_waits():
    world = JobWorld(queueName="gpus")
    world.settle()
    world.hold_in_queue()
    world.settle()
    assert world.condition("Ready")[2].endswith("see: kubectl get workloads")
    world.words.queue["small-12345678-preflight-1"] = "insufficient unused quota for cpu in flavor default"
    world.settle()
    for kind in ("Ready", "Reconciling", "Suspended", "Validated"):
        assert world.condition(kind)[2].endswith("insufficient unused quota for cpu in flavor default")


def test_a_queue_that_takes_a_running_stage_back_uses_no_retries():
    world = to_stage(JobWorld(queueName="gpus"), "train")
    world.run()
    world.hold_in_queue()
    world.end_pod("", code=STOPPED, deleted=True)
    world.settle()
    assert (world.stage("train")["state"], world.stage("train")["attempt"]) == ("Pending", 1)
    world.let_go(start=world.now)
    world.run()
    assert world.stage("train")["state"] == "Running"
    assert "retries" not in world.stage("train")
    assert attempts(world, "train") == ["1"]


def test_time_in_a_queue_is_no_active_time():
    world = to_stage(JobWorld(queueName="gpus", stages={"train": {"activeDeadlineSeconds": 60}}), "train")
    world.end_pod("", code=1, startedAt=world.now)  # it stays, and its replacement is what the queue takes back
    world.settle()
    world.hold_in_queue()
    world.clock += 61
    world.settle()
    assert world.condition("Ready")[1] == "Queued"
    world.let_go(start=world.now)
    world.run(index=1)
    assert world.stage("train")["state"] == "Running"
    world.clock += 61
    world.settle()
    assert world.condition("Ready")[1] == "Stopping"
