"""A real API server with the controllers that the operator lives with, and the operator as a process."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import yaml
from api import kubectl
from chart_render import NAMESPACE, RELEASE, Helm
from controlplane import ControlPlane
from tools import ensure_tools

ROOT = Path(__file__).parents[2]
CONTROLLERS = (
    "garbage-collector-controller", "namespace-controller", "serviceaccount-controller", "job-controller",
    "deployment-controller", "replicaset-controller",
)  # fmt: skip


def control_plane(directory: Path) -> ControlPlane:
    """A control plane with our CRDs; `start` it, and `stop` it in the end."""
    crds = [ROOT / "crds/distillationjobs.yaml", ROOT / "crds/distilledmodels.yaml"]
    return ControlPlane(directory, controllers=CONTROLLERS, manifests=crds)


def operator_account(plane: ControlPlane, folder: Path) -> Path:
    """Kubeconfig of the chart's own ServiceAccount: a permission that the chart forgets breaks the tests."""
    tools, kinds = ensure_tools(), ("ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding")
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
