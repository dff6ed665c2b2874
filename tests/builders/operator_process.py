"""A real API server with the controllers that the operator lives with, and the operator as a process."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from api import kubectl
from chart_render import NAMESPACE, RELEASE, Helm, Values
from controlplane import DIE_WITH_PARENT, ControlPlane
from tools import ensure_tools

ROOT = Path(__file__).parents[2]
CONTROLLERS = (
    "garbage-collector-controller", "namespace-controller", "serviceaccount-controller", "job-controller",
    "deployment-controller", "replicaset-controller",
)  # fmt: skip
CRDS = (ROOT / "crds/distillationjobs.yaml", ROOT / "crds/distilledmodels.yaml")


def control_plane(directory: Path, *more_crds: Path, apiserver_flags: Sequence[str] = ()) -> ControlPlane:
    """A control plane with our CRDs and others; `start` it, and `stop` it in the end."""
    crds = [*CRDS, *more_crds]
    return ControlPlane(directory, controllers=CONTROLLERS, manifests=crds, apiserver_flags=apiserver_flags)


def operator_account(plane: ControlPlane, folder: Path, values: Values | None = None) -> Path:
    """Kubeconfig of the chart's own ServiceAccount: a permission that the chart forgets breaks the tests."""
    kubectl(ensure_tools(), plane.kubeconfig, "create", "namespace", NAMESPACE)
    grant(plane, folder, **(values or {}))
    return account(plane, folder)


def grant(plane: ControlPlane, folder: Path, **values: Any) -> None:
    """Apply the chart's account and its rights."""
    kinds = ("ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding")
    manifests = [manifest for manifest in Helm(folder).template(values) if manifest["kind"] in kinds]
    kubectl(ensure_tools(), plane.kubeconfig, "apply", "-f", "-", stdin=yaml.safe_dump_all(manifests))


def account(plane: ControlPlane, folder: Path, name: str = RELEASE, port: int | None = None) -> Path:
    """A kubeconfig with a token of its own for that account, through another port where one is given."""
    token = kubectl(ensure_tools(), plane.kubeconfig, "-n", NAMESPACE, "create", "token", name, "--duration=6h").strip()
    content = yaml.safe_load(plane.kubeconfig.read_text())
    content["users"][0]["user"] = {"token": token}
    if port:
        content["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{port}"
    path = folder / f"{name}.kubeconfig"
    path.write_text(yaml.safe_dump(content))
    return path


class OperatorProcess:
    """`python -m distillery_operator` against the control plane; killed and started as the test wants.

    It dies with the thread that started it, so that a killed test run leaves nothing.
    """

    def __init__(self, kubeconfig: Path, folder: Path, *flags: str) -> None:
        self.kubeconfig, self.folder, self.flags = kubeconfig, folder, flags
        self.health_port, self.metrics_port = free_port(), free_port()
        self.settings = {
            "workerImage": "registry/worker@sha256:1", "serverImage": "registry/server@sha256:2",
            "healthPort": self.health_port, "metricsPort": self.metrics_port,
            "progressSeconds": 0.5, "resyncSeconds": 3,
        }  # fmt: skip
        self.process: subprocess.Popen[bytes] | None = None
        self.log = folder / "operator.log"
        self.environment = {**os.environ, "PYTHONPATH": f"{ROOT}/crds:{ROOT}/operator", "PYTHONWARNINGS": "default"}

    def start(self) -> None:
        path = self.folder / "operator.json"
        path.write_text(json.dumps(self.settings))
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *DIE_WITH_PARENT, sys.executable, "-m", "distillery_operator", "--settings", path,
                    "--kubeconfig", self.kubeconfig, *self.flags,
                ],
                env=self.environment, stderr=log, stdout=log,
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
