"""Suspending, retrying and tidying up, with the real Job controller and garbage collector."""

import time

import pytest
from kubelet import Kubelet
from kubernetes import client
from namespaces import Namespace
from operator_process import OperatorProcess
from stage_results import DIGESTS
from waiting import eventually

JOBS = "distillationjobs"


def suspended(namespace: Namespace, name: str) -> bool:
    return namespace.condition(JOBS, name, "Suspended").get("status") == "True"


def pods_of(namespace: Namespace, stage: str) -> list[str]:
    pods = namespace.core.list_namespaced_pod(namespace.name, label_selector=f"distillery.dev/stage={stage}")
    return [pod.metadata.name for pod in pods.items]


@pytest.mark.parametrize("stage", ["preflight", "label", "train", "compress", "evaluate"])
def test_a_suspended_job_ends_its_pods_and_goes_on_when_it_is_resumed(
    stage: str, operator: OperatorProcess, kubelet: Kubelet, namespace: Namespace
):
    kubelet.hold.add(stage)
    namespace.job("paused")
    eventually(lambda: namespace.stage("paused", stage).get("state"), lambda state: state == "Running")
    namespace.patch(JOBS, "paused", {"suspend": True})
    eventually(lambda: suspended(namespace, "paused"), bool)
    assert not [name for name in namespace.job_names() if f"-{stage}-" in name]
    assert namespace.stage("paused", stage)["state"] == "Suspended"
    kubelet.hold.clear()
    namespace.patch(JOBS, "paused", {"suspend": False})
    assert namespace.ended("paused")["status"]["verdict"]["result"] == "Pass"
    assert namespace.stage("paused", stage)["attempt"] == 2
    assert "retries" not in namespace.stage("paused", stage)


def test_a_job_of_another_controller_is_left_alone(operator: OperatorProcess, kubelet: Kubelet, namespace: Namespace):
    namespace.job("elsewhere", managedBy="kueue.x-k8s.io/multikueue")
    namespace.job("ours", managedBy="distillery.dev/operator")
    namespace.ended("ours")
    status = namespace.get(JOBS, "elsewhere")["status"]
    assert (status["observedGeneration"], status["conditions"]) == (-1, [])
    assert not [name for name in namespace.job_names() if name.startswith("elsewhere")]


def test_evictions_use_no_retries_and_crashes_do(operator: OperatorProcess, kubelet: Kubelet, namespace: Namespace):
    kubelet.crashes["train"] = [{"code": 143, "taken": "EvictionByEvictionAPI"}] * 2 + [{"code": 1}]
    namespace.job("taken", stages={"train": {"retries": {"infrastructure": 1}}})
    assert namespace.ended("taken")["status"]["verdict"]["result"] == "Pass"
    assert namespace.stage("taken", "train")["retries"]["infrastructure"] == 1
    assert namespace.stage("taken", "train")["attempt"] == 1


def test_a_pod_that_somebody_deletes_uses_no_retry(operator: OperatorProcess, kubelet: Kubelet, namespace: Namespace):
    kubelet.hold.add("train")
    namespace.job("deleted", stages={"train": {"retries": {"infrastructure": 0}}})
    eventually(lambda: namespace.stage("deleted", "train").get("state"), lambda state: state == "Running")
    (pod,) = pods_of(namespace, "train")
    namespace.core.delete_namespaced_pod(pod, namespace.name)
    # Not before another one is there: a pod that ends well while it is being deleted takes its result with it.
    eventually(lambda: pods_of(namespace, "train"), lambda pods: len(pods) == 1 and pods != [pod])
    kubelet.hold.clear()
    assert namespace.ended("deleted")["status"]["verdict"]["result"] == "Pass"
    assert namespace.stage("deleted", "train")["attempt"] == 1
    assert "retries" not in namespace.stage("deleted", "train")


def test_out_of_memory_is_retried_by_its_own_budget_and_then_names_the_limit(
    operator: OperatorProcess, kubelet: Kubelet, namespace: Namespace
):
    kubelet.crashes["train"] = [{"code": 137, "reason": "OOMKilled"}] * 2
    limits = {"resources": {"limits": {"memory": "2Gi"}}, "retries": {"outOfMemory": 1}}
    namespace.job("large", stages={"train": limits})
    namespace.ended("large")
    ready = namespace.condition(JOBS, "large", "Ready")
    assert ready["reason"] == "OutOfMemory"
    assert "raise stages.train.resources.limits.memory, which is 2Gi" in ready["message"]
    assert namespace.stage("large", "train")["attempt"] == 2


def test_a_stage_that_runs_too_long_is_stopped(operator: OperatorProcess, kubelet: Kubelet, namespace: Namespace):
    kubelet.hold.add("train")
    namespace.job("slow", stages={"train": {"activeDeadlineSeconds": 2}})
    namespace.ended("slow")
    assert namespace.condition(JOBS, "slow", "Stalled")["reason"] == "ActiveDeadlineExceeded"
    assert not [name for name in namespace.job_names() if "-train-" in name]


def test_children_go_after_their_time_to_live_and_nothing_runs_again(
    operator: OperatorProcess, kubelet: Kubelet, namespace: Namespace
):
    namespace.model()
    namespace.job("brief", ttlSecondsAfterFinished=1)
    before = namespace.ended("brief")
    namespace.serving(DIGESTS["artifact"])
    eventually(namespace.job_names, lambda names: names == [])
    time.sleep(4)  # longer than a resync
    assert namespace.job_names() == []
    assert namespace.get(JOBS, "brief")["status"] == before["status"]


def test_deleting_a_job_leaves_the_model_serving_its_student(
    operator: OperatorProcess, kubelet: Kubelet, namespace: Namespace
):
    namespace.model()
    namespace.job("first")
    namespace.serving(DIGESTS["artifact"])
    namespace.delete(JOBS, "first")
    eventually(namespace.job_names, lambda names: names == [])
    served = namespace.serving(DIGESTS["artifact"])
    assert served["status"]["history"][0]["job"] == "first"
    assert len(namespace.apps.list_namespaced_deployment(namespace.name).items) == 1


def test_what_would_change_an_artifact_is_immutable_and_the_rest_is_not(plane: object, namespace: Namespace):
    namespace.job("fixed", suspend=True)
    for change in ({"suspend": False}, {"limits": {"gpuSeconds": 5}}, {"priorityClassName": "batch"},
                   {"queuePriorityClassName": "high"}, {"ttlSecondsAfterFinished": 5}):  # fmt: skip
        namespace.patch(JOBS, "fixed", change)
    for field, value in (("queueName", "gpus"), ("promoteTo", None), ("training", {"epochs": 9}), ("managedBy", "a/b")):
        with pytest.raises(client.ApiException) as refused:
            namespace.patch(JOBS, "fixed", {field: value})
        assert f"{field} is immutable: apply another job under another name" in str(refused.value.body)


def forbid(namespace: Namespace, resource: str) -> None:
    """A quota of none of the resource."""
    hard = {"hard": {resource: "0"}}
    namespace.core.create_namespaced_resource_quota(namespace.name, {"metadata": {"name": "none"}, "spec": hard})
    counted = {"status": {**hard, "used": hard["hard"]}}  # the quota controller's part, which does not run here
    namespace.core.patch_namespaced_resource_quota_status("none", namespace.name, counted)


def test_a_quota_that_keeps_a_jobs_pods_out_is_told_in_the_job_controllers_words(
    operator: OperatorProcess, kubelet: Kubelet, namespace: Namespace
):
    forbid(namespace, "pods")
    namespace.job("podless")
    waiting = eventually(
        lambda: namespace.condition(JOBS, "podless", "Reconciling"), lambda c: c.get("reason") == "NoPod"
    )
    (name,) = namespace.job_names()
    assert f'pods "{name}-*" is forbidden: exceeded quota: none' in waiting["message"]


def test_a_quota_that_keeps_a_job_out_is_told_until_it_goes(
    operator: OperatorProcess, kubelet: Kubelet, namespace: Namespace
):
    forbid(namespace, "count/jobs.batch")
    namespace.job("kept-out")
    waiting = eventually(
        lambda: namespace.condition(JOBS, "kept-out", "Reconciling"), lambda c: c.get("reason") == "JobNotCreated"
    )
    assert "quota" in waiting["message"]
    namespace.core.delete_namespaced_resource_quota("none", namespace.name)
    assert namespace.ended("kept-out")["status"]["verdict"]["result"] == "Pass"
