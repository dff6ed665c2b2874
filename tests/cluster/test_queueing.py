"""Stages in the queues of Kueue's real controller: admitted, waiting, preempted, suspended, deleted."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from controlplane import ControlPlane
from distillery_api.distillationjob import STAGES
from kubelet import Kubelet
from kubernetes import client, config
from kueue_controller import KueueController
from namespaces import Namespace
from operator_process import OperatorProcess, control_plane, operator_account
from waiting import eventually

GROUP, VERSION = "kueue.x-k8s.io", "v1beta2"
JOBS, QUEUE = "distillationjobs", "team"
ENABLED = {"kueue": {"enabled": True}}
ONE_CPU = {stage: {"resources": {"requests": {"cpu": "1"}}} for stage in STAGES}

only_with_queue_name = pytest.mark.parametrize("kueue", [False], indirect=True, ids=["named only"])
every_job = pytest.mark.parametrize("kueue", [True], indirect=True, ids=["every Job"])


@pytest.fixture(scope="module")
def controller(tmp_path_factory: pytest.TempPathFactory) -> KueueController:
    return KueueController(tmp_path_factory.mktemp("kueue"))


@pytest.fixture(scope="module")
def plane(controller: KueueController, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    plane = control_plane(tmp_path_factory.mktemp("plane"), controller.crds())
    plane.start()
    controller.install(plane.kubeconfig)
    yield plane
    plane.stop()


@pytest.fixture(scope="module", params=[False, True], ids=["named only", "every Job"])
def kueue(
    request: pytest.FixtureRequest, controller: KueueController, plane: ControlPlane
) -> Iterator[KueueController]:
    """Kueue, in both settings of manageJobsWithoutQueueName."""
    controller.start(plane.kubeconfig, manage_all=request.param)
    yield controller
    controller.stop()


@pytest.fixture(scope="module")
def api(plane: ControlPlane) -> client.ApiClient:
    return config.new_client_from_config(str(plane.kubeconfig))


@pytest.fixture(scope="module")
def operator_kubeconfig(plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return operator_account(plane, tmp_path_factory.mktemp("account"), {"settings": ENABLED})


@pytest.fixture
def operator_settings() -> dict[str, Any]:
    return ENABLED


class Team(Namespace):
    """A namespace with a LocalQueue, whose ClusterQueue has quota for one pod of a stage."""

    def open(self, local_queue: str = QUEUE) -> None:
        self._create("resourceflavors", "ResourceFlavor", "default", {})
        quota = {"name": "default", "resources": [{"name": "cpu", "nominalQuota": "1"}]}
        self._create("clusterqueues", "ClusterQueue", self.name, {
            "namespaceSelector": {}, "resourceGroups": [{"coveredResources": ["cpu"], "flavors": [quota]}],
            "preemption": {"withinClusterQueue": "LowerPriority"},
        })  # fmt: skip
        body = {"apiVersion": f"{GROUP}/{VERSION}", "kind": "LocalQueue", "metadata": {"name": local_queue}}
        self.custom.create_namespaced_custom_object(
            GROUP, VERSION, self.name, "localqueues", body | {"spec": {"clusterQueue": self.name}}
        )

    def priority(self, name: str, value: int) -> str:
        """A WorkloadPriorityClass of this name and namespace."""
        full = f"{self.name}-{name}"
        body = {"apiVersion": f"{GROUP}/{VERSION}", "kind": "WorkloadPriorityClass", "metadata": {"name": full}}
        self.custom.create_cluster_custom_object(GROUP, VERSION, "workloadpriorityclasses", body | {"value": value})
        return full

    def _create(self, plural: str, kind: str, name: str, spec: dict[str, Any]) -> None:
        body = {"apiVersion": f"{GROUP}/{VERSION}", "kind": kind, "metadata": {"name": name}, "spec": spec}
        try:
            self.custom.create_cluster_custom_object(GROUP, VERSION, plural, body)
        except client.ApiException as error:
            if error.status != 409:  # one flavour serves all
                raise

    def queued(self, name: str, **changes: Any) -> None:
        """A job in the queue, each of whose pods takes all of the quota."""
        self.job(name, **({"queueName": QUEUE, "stages": ONE_CPU} | changes))

    def workloads(self) -> list[dict[str, Any]]:
        found = self.custom.list_namespaced_custom_object(GROUP, VERSION, self.name, "workloads")
        return list(found["items"])

    def stage(self, name: str, stage: str) -> dict[str, Any]:
        stages = self.get(JOBS, name).get("status", {}).get("stages", [])
        return next((s for s in stages if s["name"] == stage), {})

    def runs(self, name: str, stage: str) -> None:
        """Wait until that stage runs."""
        eventually(lambda: self.stage(name, stage), lambda held: held.get("state") == "Running")

    def waits(self, name: str, reason: str, words: str) -> None:
        """Wait until the job is held back for that reason, in those words."""
        eventually(
            lambda: self.condition(JOBS, name, "Suspended"),
            lambda held: held.get("status") == "True" and held["reason"] == reason and words in held["message"],
        )

    def passes(self, name: str) -> dict[str, Any]:
        """Wait until the job has ended, with a Pass."""
        ended = self.ended(name)
        assert ended["status"].get("verdict", {}).get("result") == "Pass", ended["status"]
        return ended


@pytest.fixture
def team(namespace: Namespace, api: client.ApiClient, kueue: KueueController) -> Team:
    team = Team(api, namespace.name)
    team.open()
    return team


def condition_of(obj: dict[str, Any], kind: str) -> dict[str, Any]:
    return next((c for c in obj.get("status", {}).get("conditions", []) if c["type"] == kind), {})


def test_each_stage_is_admitted_and_the_job_passes(operator: OperatorProcess, kubelet: Kubelet, team: Team):
    team.queued("alone")
    team.passes("alone")
    workloads = team.workloads()
    assert len(workloads) == len(team.job_names()) == len(STAGES)
    assert all(condition_of(workload, "Admitted")["status"] == "True" for workload in workloads)


def test_a_job_that_shares_the_quota_waits_in_kueue_s_words_and_goes_on(
    operator: OperatorProcess, kubelet: Kubelet, team: Team
):
    kubelet.hold.add("train")
    team.queued("first")
    team.runs("first", "train")
    team.queued("second")
    team.waits("second", "Queued", "insufficient unused quota for cpu in flavor default")
    reconciling = team.condition(JOBS, "second", "Reconciling")
    assert (reconciling["status"], reconciling["reason"]) == ("True", "Queued")
    assert "LocalQueue team has not admitted Job second-" in reconciling["message"]
    assert team.condition(JOBS, "first", "Suspended")["status"] == "False"
    kubelet.hold.clear()
    team.passes("first")
    team.passes("second")
    assert team.condition(JOBS, "second", "Suspended")["status"] == "False"


@only_with_queue_name
def test_a_preempted_stage_waits_and_goes_on_without_using_a_retry(
    operator: OperatorProcess, kubelet: Kubelet, team: Team
):
    kubelet.hold.add("train")
    fragile = ONE_CPU | {"train": ONE_CPU["train"] | {"retries": {"infrastructure": 0}}}
    team.queued("low", queuePriorityClassName=team.priority("low", 1), stages=fragile)
    team.runs("low", "train")
    team.queued("high", queuePriorityClassName=team.priority("high", 1000))
    team.waits("low", "Queued", "LocalQueue team has not admitted Job low-")
    team.runs("high", "train")
    kubelet.hold.clear()
    team.passes("high")
    team.passes("low")
    train = team.stage("low", "train")
    assert (train["state"], train["attempt"], train.get("retries")) == ("Done", 1, None)
    (job,) = team.batch.list_namespaced_job(
        team.name, label_selector="distillery.dev/stage=train,distillery.dev/owner-name=low"
    ).items
    assert (job.status.failed, job.status.succeeded) == (None, 1)


@only_with_queue_name
def test_a_job_is_suspended_and_resumed_while_it_waits(operator: OperatorProcess, kubelet: Kubelet, team: Team):
    kubelet.hold.add("train")
    team.queued("first")
    team.runs("first", "train")
    team.queued("second")
    team.waits("second", "Queued", "preflight")
    team.patch(JOBS, "second", {"suspend": True})
    team.waits("second", "Suspended", "spec.suspend is set")
    assert not [name for name in team.job_names() if name.startswith("second-")]
    team.patch(JOBS, "second", {"suspend": False})
    team.waits("second", "Queued", "preflight-2")
    kubelet.hold.clear()
    team.passes("second")
    assert team.stage("second", "preflight")["attempt"] == 2


@only_with_queue_name
def test_a_suspended_job_gives_its_quota_back_until_it_is_resumed(
    operator: OperatorProcess, kubelet: Kubelet, team: Team
):
    kubelet.hold.add("train")
    team.queued("first")
    team.runs("first", "train")
    team.patch(JOBS, "first", {"suspend": True})
    team.waits("first", "Suspended", "spec.suspend is set")
    team.queued("second")
    team.runs("second", "train")
    team.patch(JOBS, "first", {"suspend": False})
    team.waits("first", "Queued", "insufficient unused quota for cpu")
    kubelet.hold.clear()
    team.passes("first")
    train = team.stage("first", "train")
    assert (train["attempt"], train.get("retries")) == (2, None)


@only_with_queue_name
def test_a_queue_that_does_not_exist_is_named(operator: OperatorProcess, kubelet: Kubelet, team: Team):
    team.queued("lost", queueName="nowhere")
    team.waits("lost", "Queued", "LocalQueue nowhere doesn't exist")


@only_with_queue_name
def test_without_a_queue_name_kueue_leaves_the_job_alone(operator: OperatorProcess, kubelet: Kubelet, team: Team):
    team.job("free", stages=ONE_CPU)
    team.passes("free")
    assert team.workloads() == []


@every_job
def test_where_every_job_needs_a_queue_the_condition_says_what_to_set(
    operator: OperatorProcess, kubelet: Kubelet, team: Team
):
    team.job("unnamed", stages=ONE_CPU)
    team.waits("unnamed", "Queued", "apply the job under another name with spec.queueName")
    team.queued("named")
    team.passes("named")


def test_the_namespace_s_default_queue_takes_jobs_that_name_none(
    operator: OperatorProcess, kubelet: Kubelet, namespace: Namespace, api: client.ApiClient, kueue: KueueController
):
    team = Team(api, namespace.name)
    team.open("default")
    team.job("unnamed", stages=ONE_CPU)
    team.passes("unnamed")
    assert len(team.workloads()) == len(STAGES)


@pytest.mark.parametrize("admitted", [True, False], ids=["admitted", "waiting"])
@only_with_queue_name
def test_deleting_a_job_leaves_no_workload(admitted: bool, operator: OperatorProcess, kubelet: Kubelet, team: Team):
    kubelet.hold.add("train")
    team.queued("first")
    team.runs("first", "train")
    if not admitted:
        team.queued("second")
        team.waits("second", "Queued", "preflight")
        team.delete(JOBS, "second")
        eventually(team.workloads, lambda found: not [w for w in found if "second" in w["metadata"]["name"]])
    team.delete(JOBS, "first")
    eventually(team.workloads, lambda found: found == [])
    assert team.job_names() == []


@only_with_queue_name
def test_a_job_outlives_an_absence_of_kueue(
    operator: OperatorProcess, kubelet: Kubelet, team: Team, kueue: KueueController, plane: ControlPlane
):
    kubelet.hold.add("train")
    team.queued("patient")
    team.runs("patient", "train")
    kueue.stop()
    kubelet.hold.clear()
    eventually(operator.log.read_text, lambda log: "failed calling webhook" in log)
    kueue.start(plane.kubeconfig, manage_all=False)
    ended = team.passes("patient")
    assert [stage["attempt"] for stage in ended["status"]["stages"]] == [1] * len(STAGES)
