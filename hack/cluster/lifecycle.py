"""Brings the whole cluster up and down, and says how it is."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import addons
import network
import node
import processes
import record
import residue
import settings
import sysctls
from api import is_ready, kubectl, succeeds, wait_for_default_account
from certificates import encoded
from components import (
    Plan,
    apiserver_command,
    controller_manager_command,
    create_certificates,
    create_kubeconfig,
    etcd_command,
    scheduler_command,
)
from errors import ClusterError
from packages import install_missing
from settings import HERE, KUBECONFIG, LOCK, LOGS, NODE_ADDRESS, NODE_NAME, RECORD, ROOT
from tools import ensure_tools, exclusive, pins_key

PLAN = Plan(ROOT, NODE_ADDRESS, settings.API_PORT, settings.ETCD_PORT, settings.ETCD_PEER_PORT)
COMPONENTS = (
    "etcd", "containerd", "registry", "s3", "kube-apiserver", "kube-controller-manager", "kube-scheduler",
    "kubelet", "kube-proxy", "coredns", "metrics-server",
)  # fmt: skip
WAIT_SECONDS = 90


@dataclass(frozen=True)
class Launch:
    """One start of the cluster: its programs, and the record of what runs so far."""

    tools: Path
    started: record.Record

    def run(self, name: str, command: Sequence[str]) -> None:
        log = LOGS / f"{name}.log"
        process = processes.start(command, program=command[0], log=log, prefix=network.ENTER)
        self.started.add(name, process)

    def check(self) -> None:
        processes.require_running(self.started.processes, LOGS)

    def wait(self, what: str, condition: Callable[[], bool]) -> None:
        processes.wait_until(what, condition, WAIT_SECONDS, self.check)


def up() -> None:
    """Start the cluster afresh unless this very version of it is up and healthy."""
    require_root()
    with exclusive(LOCK):
        install_missing()
        tools = ensure_tools()
        if is_healthy(tools):
            print("cluster: up already")
            return
        began = time.monotonic()
        residue.clean(purge=False)
        try:
            start(tools)
        except BaseException:
            residue.clean(purge=False)  # the logs stay
            raise
        print(f"cluster: up after {time.monotonic() - began:.1f} s; use it with\n  {hint()}")


def down(*, purge: bool) -> None:
    """Stop everything and leave nothing behind but image content and logs; `purge` removes these too."""
    require_root()
    with exclusive(LOCK):
        residue.clean(purge=purge)
    print("cluster: down")


def start(tools: Path) -> None:
    ROOT.mkdir(parents=True, exist_ok=True)
    launch = Launch(tools, record.Record(RECORD, version()))
    create_certificates(PLAN)
    PLAN.authority.kubeconfig(KUBECONFIG, PLAN.server, "admin", "/O=system:masters/CN=admin")
    node.write_settings(PLAN)
    addons.write_settings(PLAN)
    network.create()
    launch.run("etcd", etcd_command(tools, PLAN))
    launch.run("containerd", node.containerd_command())
    launch.run("registry", addons.registry_command())
    launch.run("s3", addons.s3_command(tools))
    launch.run("kube-apiserver", apiserver_command(tools, PLAN))
    prepare_containerd(launch)
    launch.wait("the API server is ready", lambda: is_ready(PLAN))
    start_controllers(launch)
    start_node(launch)
    wait_for_all(launch)


def prepare_containerd(launch: Launch) -> None:
    """Wait for containerd, make it forget the containers of an earlier start, give it the pause image."""
    launch.wait("containerd answers", containerd_answers)
    stale = node.stale_containers()
    if stale:
        node.forget_containers(stale)
        # It read them at its start; only a new start shows the kubelet an empty node.
        processes.stop([launch.started.processes["containerd"]], grace_seconds=5)
        launch.run("containerd", node.containerd_command())
        launch.wait("containerd answers again", containerd_answers)
    node.import_pause_image(launch.tools / "pause")


def containerd_answers() -> bool:
    try:
        node.ctr("version")
    except ClusterError:
        return False
    return True


def start_controllers(launch: Launch) -> None:
    tools = launch.tools
    create_kubeconfig(PLAN, "scheduler", "/CN=system:kube-scheduler")
    # The default, 15 s, is longer than the 10 s between two metrics.
    autoscaler = "--horizontal-pod-autoscaler-sync-period=5s"
    launch.run("kube-controller-manager", [*controller_manager_command(tools, PLAN), autoscaler])
    launch.run("kube-scheduler", scheduler_command(tools, PLAN))


def start_node(launch: Launch) -> None:
    tools = launch.tools
    sysctls.save()
    launch.run("kubelet", node.kubelet_command(tools, PLAN))
    launch.run("kube-proxy", node.proxy_command(tools))
    launch.run("coredns", addons.coredns_command(tools))
    authority = encoded(PLAN.authority.certificate.read_bytes())
    addons.register_metrics_api(tools, KUBECONFIG, authority)
    launch.run("metrics-server", addons.metrics_server_command(tools, PLAN))


def wait_for_all(launch: Launch) -> None:
    launch.wait("the registry answers", lambda: addons.answers(settings.REGISTRY_PORT, "/v2/"))
    launch.wait("the object store has a volume to write to", addons.s3_is_ready)
    launch.wait("CoreDNS is ready", lambda: addons.answers(addons.DNS_READY_PORT, "/ready"))
    launch.wait("the node is Ready and schedulable", lambda: node_is_ready(launch.tools))
    wait_for_default_account(launch.tools, KUBECONFIG, launch.check)
    metrics = ["wait", "--for=condition=Available", "apiservice/v1beta1.metrics.k8s.io", "--timeout=1s"]
    launch.wait("the metrics API is available", lambda: succeeds(launch.tools, KUBECONFIG, *metrics))
    launch.check()


def node_is_ready(tools: Path) -> bool:
    try:
        found = json.loads(kubectl(tools, KUBECONFIG, "get", "node", NODE_NAME, "--output=json"))
    except ClusterError:
        return False
    ready = any(
        condition["type"] == "Ready" and condition["status"] == "True"
        for condition in found["status"].get("conditions", [])
    )
    return ready and not found["spec"].get("taints")


def is_healthy(tools: Path) -> bool:
    """Whether this version is up, with every component, a ready API server and a node that takes pods."""
    return not complaints(tools)


def complaints(tools: Path) -> list[str]:
    """What keeps the cluster from being up and healthy; empty if nothing does."""
    started = record.load(RECORD)
    if started is None:
        return ["it has not been started"]
    if started.version != version():
        return ["it was started by another version of hack/cluster"]
    ended = [name for name in COMPONENTS if not component_runs(started, name)]
    if ended:
        return [f"not running: {', '.join(ended)} (logs: {LOGS})"]
    if not is_ready(PLAN):
        return ["the API server is not ready"]
    return [] if node_is_ready(tools) else ["the node is not Ready"]


def component_runs(started: record.Record, name: str) -> bool:
    return name in started.processes and processes.is_running(started.processes[name])


def version() -> str:
    """Names the pinned programs and this code: a cluster of another version is started afresh."""
    digest = hashlib.sha256(pins_key().encode())
    for path in sorted(HERE.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def hint() -> str:
    return f'eval "$(python3 {HERE / "cluster.py"} env)"'


def require_root() -> None:
    if os.geteuid() != 0:
        raise ClusterError("the embedded cluster needs root: it makes namespaces, mounts and cgroups")
