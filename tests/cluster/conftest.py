"""A real kube-apiserver with the Job, Deployment and garbage-collection controllers, and the operator as a process."""

import json
import os
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from api import kubectl
from chart_render import NAMESPACE, RELEASE, Helm
from controlplane import ControlPlane
from kubelet import Kubelet
from kubernetes import client, config
from stage_results import job_spec
from tools import ensure_tools
from waiting import eventually

ROOT = Path(__file__).parents[2]
CONTROLLERS = (
    "garbage-collector-controller", "namespace-controller", "serviceaccount-controller", "job-controller",
    "deployment-controller", "replicaset-controller",
)  # fmt: skip
GROUP, VERSION = "distillery.dev", "v1alpha1"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.cluster)


@pytest.fixture(scope="session")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    crds = [ROOT / "crds/distillationjobs.yaml", ROOT / "crds/distilledmodels.yaml"]
    plane = ControlPlane(tmp_path_factory.mktemp("plane"), controllers=CONTROLLERS, manifests=crds)
    plane.start()
    yield plane
    plane.stop()


@pytest.fixture(scope="session")
def api(plane: ControlPlane) -> client.ApiClient:
    return config.new_client_from_config(str(plane.kubeconfig))


@pytest.fixture(scope="session")
def operator_kubeconfig(plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The operator as the chart's own ServiceAccount: a permission that the chart forgets breaks these tests."""
    folder, tools = tmp_path_factory.mktemp("account"), ensure_tools()
    kinds = ("ServiceAccount", "ClusterRole", "ClusterRoleBinding")
    roles = [manifest for manifest in Helm(folder).template() if manifest["kind"] in kinds]
    kubectl(tools, plane.kubeconfig, "create", "namespace", NAMESPACE)
    kubectl(tools, plane.kubeconfig, "apply", "-f", "-", stdin=yaml.safe_dump_all(roles))
    token = kubectl(tools, plane.kubeconfig, "-n", NAMESPACE, "create", "token", RELEASE, "--duration=6h").strip()
    content = yaml.safe_load(plane.kubeconfig.read_text())
    for user in content["users"]:
        user["user"] = {"token": token}
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.fixture
def kubelet(api: client.ApiClient) -> Iterator[Kubelet]:
    with Kubelet(api) as kubelet:
        yield kubelet


class OperatorProcess:
    """`python -m distillery_operator` against the control plane; killed and started as the test wants."""

    def __init__(self, kubeconfig: Path, folder: Path) -> None:
        self.kubeconfig, self.folder = kubeconfig, folder
        self.health_port, self.metrics_port = free_port(), free_port()
        self.settings = {
            "workerImage": "registry/worker@sha256:1", "serverImage": "registry/server@sha256:2",
            "healthPort": self.health_port, "metricsPort": self.metrics_port,
            "progressSeconds": 0.5, "resyncSeconds": 3,
        }  # fmt: skip
        self.process: subprocess.Popen[bytes] | None = None
        self.log = folder / "operator.log"

    def start(self) -> None:
        path = self.folder / "operator.json"
        path.write_text(json.dumps(self.settings))
        environment = {**os.environ, "PYTHONPATH": f"{ROOT}/crds:{ROOT}/operator", "PYTHONWARNINGS": "default"}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "distillery_operator", "--settings", path, "--kubeconfig", self.kubeconfig],
                env=environment, stderr=log, stdout=log,
            )  # fmt: skip

    def kill(self, how: int = signal.SIGKILL) -> int:
        assert self.process is not None
        self.process.send_signal(how)
        return self.process.wait(20)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@pytest.fixture
def operator(operator_kubeconfig: Path, tmp_path: Path) -> Iterator[OperatorProcess]:
    operator = OperatorProcess(operator_kubeconfig, tmp_path)
    operator.start()
    yield operator
    if operator.process is not None and operator.process.poll() is None:
        operator.kill()
    print(operator.log.read_text()[-4000:])


class Namespace:
    """A namespace of its own for a test, with short words for what tests do in it."""

    def __init__(self, api: client.ApiClient, name: str) -> None:
        self.name = name
        self.core, self.batch, self.apps = client.CoreV1Api(api), client.BatchV1Api(api), client.AppsV1Api(api)
        self.custom = client.CustomObjectsApi(api)

    def apply(self, plural: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
        kind = {"distillationjobs": "DistillationJob", "distilledmodels": "DistilledModel"}[plural]
        body = {"apiVersion": f"{GROUP}/{VERSION}", "kind": kind, "metadata": {"name": name}, "spec": spec}
        return self.custom.create_namespaced_custom_object(GROUP, VERSION, self.name, plural, body)

    def job(self, name: str, **changes: Any) -> None:
        self.apply("distillationjobs", name, job_spec(**changes))

    def model(self, name: str = "served", **spec: Any) -> None:
        self.apply("distilledmodels", name, {"task": "text-classification"} | spec)

    def patch(self, plural: str, name: str, spec: dict[str, Any]) -> None:
        """Merge patch of the spec."""
        self.custom.patch_namespaced_custom_object(GROUP, VERSION, self.name, plural, name, {"spec": spec})

    def delete(self, plural: str, name: str) -> None:
        self.custom.delete_namespaced_custom_object(GROUP, VERSION, self.name, plural, name)

    def get(self, plural: str, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.custom.get_namespaced_custom_object(GROUP, VERSION, self.name, plural, name)
        return found

    def condition(self, plural: str, name: str, kind: str) -> dict[str, Any]:
        conditions = self.get(plural, name).get("status", {}).get("conditions", [])
        return next((c for c in conditions if c["type"] == kind), {})

    def job_names(self) -> list[str]:
        return sorted(job.metadata.name for job in self.batch.list_namespaced_job(self.name).items)

    def stages_run(self) -> list[str]:
        return sorted(
            job.metadata.labels["distillery.dev/stage"] for job in self.batch.list_namespaced_job(self.name).items
        )

    def ended(self, name: str) -> dict[str, Any]:
        """Wait until the DistillationJob has ended."""
        return eventually(lambda: self.get("distillationjobs", name), lambda job: "finishedAt" in job.get("status", {}))

    def serving(self, digest: str, name: str = "served") -> dict[str, Any]:
        """Wait until the model serves the artifact."""
        return eventually(
            lambda: self.get("distilledmodels", name),
            lambda model: (
                model.get("status", {}).get("active", {}).get("digest") == digest
                and self.condition("distilledmodels", name, "Ready").get("status") == "True"
            ),
        )


@pytest.fixture
def namespace(api: client.ApiClient) -> Namespace:
    name = f"t-{uuid.uuid4().hex[:8]}"
    client.CoreV1Api(api).create_namespace({"metadata": {"name": name}})
    return Namespace(api, name)
