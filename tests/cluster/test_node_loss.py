"""A node that is deleted under a running stage, with the real pod garbage collector, which waits 40 s before."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from controlplane import ControlPlane
from kubelet import Kubelet
from kubernetes import client, config
from namespaces import Namespace
from operator_process import CONTROLLERS, OperatorProcess, control_plane, operator_account
from waiting import eventually

TRAIN = "distillery.dev/stage=train"


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """One of its own: elsewhere the collector would take pods without a node from the scripted kubelet."""
    plane = control_plane(tmp_path_factory.mktemp("plane"))
    plane.controllers = (*CONTROLLERS, "pod-garbage-collector-controller")
    plane.start()
    yield plane
    plane.stop()


@pytest.fixture(scope="module")
def api(plane: ControlPlane) -> client.ApiClient:
    return config.new_client_from_config(str(plane.kubeconfig))


@pytest.fixture(scope="module")
def operator_kubeconfig(plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return operator_account(plane, tmp_path_factory.mktemp("account"))


def pods(namespace: Namespace) -> list[str]:
    """Pods of the train stage."""
    return [pod.metadata.name for pod in namespace.core.list_namespaced_pod(namespace.name, label_selector=TRAIN).items]


def test_a_deleted_node_uses_no_retry_and_the_stage_goes_on_elsewhere(
    operator: OperatorProcess, kubelet: Kubelet, namespace: Namespace
):
    kubelet.hold.add("train")
    namespace.core.create_node({"metadata": {"name": "gone"}})
    namespace.job("moved", stages={"train": {"retries": {"infrastructure": 0}}})
    (pod,) = eventually(lambda: pods(namespace), bool)
    target = {"metadata": {"name": pod}, "target": {"kind": "Node", "name": "gone"}}
    namespace.core.create_namespaced_binding(namespace.name, target, _preload_content=False)
    eventually(lambda: namespace.stage("moved", "train").get("state"), lambda state: state == "Running")
    namespace.core.delete_node("gone")
    eventually(lambda: pods(namespace), lambda names: names and pod not in names)
    kubelet.hold.clear()
    assert namespace.ended("moved")["status"]["verdict"]["result"] == "Pass"
    train = namespace.stage("moved", "train")
    assert train["attempt"] == 1
    assert "retries" not in train
