"""A control plane alone, for tests: etcd, kube-apiserver and kube-controller-manager on free ports.

`ControlPlane(directory).start()` gives a real API server on 127.0.0.1 within seconds; several run side by
side. It has no scheduler and no kubelet: tests write the outcomes of Jobs and Pods themselves.
"""

from __future__ import annotations

import shutil
import socket
from collections.abc import Sequence
from pathlib import Path

import processes
import record
from api import is_ready, kubectl, wait_for_default_account
from components import Plan, apiserver_command, controller_manager_command, create_certificates, etcd_command
from errors import PortTakenError
from tools import ensure_tools, pins_key

DEFAULT_CONTROLLERS = (
    "garbage-collector-controller",
    "namespace-controller",
    "serviceaccount-controller",
)
ATTEMPTS = 3  # another process may take a free port between our look and the start
START_SECONDS = 90
DIE_WITH_PARENT = ("setpriv", "--pdeathsig", "KILL", "--")


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody has at this moment."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for listener in sockets:
            listener.bind(("127.0.0.1", 0))
        return [listener.getsockname()[1] for listener in sockets]
    finally:
        for listener in sockets:
            listener.close()


class ControlPlane:
    """A control plane and its data in `directory`; `controllers` run in the controller manager.

    Without controllers there is no controller manager. `manifests` (files or folders) are applied before the
    controllers start: the garbage collector looks for new kinds every 30 s, so a CRD applied later gets no
    cascading deletes for that long. Unless `outlive` is set, everything is killed with the thread that started
    it, so that a killed test run leaves nothing.
    """

    def __init__(
        self,
        directory: Path,
        controllers: Sequence[str] = DEFAULT_CONTROLLERS,
        manifests: Sequence[Path] = (),
        apiserver_flags: Sequence[str] = (),
        *,
        outlive: bool = False,
    ) -> None:
        self.directory = directory.resolve()
        self.controllers = tuple(controllers)
        self.manifests = tuple(manifests)
        self.apiserver_flags = tuple(apiserver_flags)
        self.outlive = outlive
        self.kubeconfig = self.directory / "kubeconfig"

    def start(self) -> ControlPlane:
        """Start and wait until ready; an earlier start in the same directory is stopped, its data dropped."""
        tools = ensure_tools()
        for attempt in range(1, ATTEMPTS + 1):
            self.stop()
            try:
                self._start_once(tools)
            except PortTakenError:
                if attempt == ATTEMPTS:
                    self.stop()
                    raise
            except BaseException:
                self.stop()
                raise
            else:
                break
        return self

    def stop(self) -> None:
        """Stop what a start in this directory left running, in this process or another; logs stay."""
        started = record.load(self._record_path)
        if started is not None:
            # The API server waits for open watches on SIGTERM; the data is dropped anyway.
            processes.stop(started.processes.values(), grace_seconds=0)
        self._record_path.unlink(missing_ok=True)
        self.kubeconfig.unlink(missing_ok=True)
        for name in ("etcd", "certificates"):
            shutil.rmtree(self.directory / name, ignore_errors=True)

    @property
    def _record_path(self) -> Path:
        return self.directory / "controlplane.json"

    @property
    def _logs(self) -> Path:
        return self.directory / "log"

    def _start_once(self, tools: Path) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        started = record.Record(self._record_path, pins_key())
        plan = Plan(self.directory, "127.0.0.1", *free_ports(3))
        create_certificates(plan)
        plan.authority.kubeconfig(self.kubeconfig, plan.server, "admin", "/O=system:masters/CN=admin")

        def run(name: str, command: list[str]) -> None:
            log = self._logs / f"{name}.log"
            prefix = () if self.outlive else DIE_WITH_PARENT
            started.add(name, processes.start(command, program=command[0], log=log, prefix=prefix))

        def check() -> None:
            processes.require_running(started.processes, self._logs)

        run("etcd", etcd_command(tools, plan))
        run("kube-apiserver", [*apiserver_command(tools, plan), *self.apiserver_flags])
        processes.wait_until("the API server is ready", lambda: is_ready(plan), START_SECONDS, check)
        self._apply_manifests(tools)
        if self.controllers:
            command = controller_manager_command(tools, plan)
            flags = [f"--controllers={','.join(self.controllers)}", "--secure-port=0"]
            run("kube-controller-manager", [*command, *flags])
        if "serviceaccount-controller" in self.controllers:
            wait_for_default_account(tools, self.kubeconfig, check)

    def _apply_manifests(self, tools: Path) -> None:
        for manifest in self.manifests:
            kubectl(tools, self.kubeconfig, "apply", "--server-side", "-f", str(manifest))
        if kubectl(tools, self.kubeconfig, "get", "crd", "--output=name"):
            kinds = ["wait", "--for=condition=Established", "crd", "--all", "--timeout=30s"]
            kubectl(tools, self.kubeconfig, *kinds)
