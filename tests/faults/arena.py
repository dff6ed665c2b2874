"""Brings up what all runs share, and runs many faults side by side."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml
from api import kubectl
from chart_render import NAMESPACE, RELEASE
from controlplane import ControlPlane
from fault import UNDISTURBED, Length
from kubernetes import config
from operator_process import control_plane, operator_account
from players import Nodes, Observer
from proxy import Upstream
from scenario import Arena, Outcome, run
from tools import ensure_tools


@contextmanager
def arena(folder: Path, outage: float) -> Iterator[Arena]:
    """A control plane with everything around it; `outage` in seconds."""
    plane = control_plane(folder / "plane")
    plane.start()
    try:
        api = config.new_client_from_config(str(plane.kubeconfig))
        api.rest_client.pool_manager.connection_pool_kw["maxsize"] = 64
        cluster = yaml.safe_load(plane.kubeconfig.read_text())["clusters"][0]["cluster"]
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        account = account_of(plane, folder)
        with (
            Upstream(cluster["server"], authority) as upstream,
            Nodes(api) as nodes,
            Observer(api) as observer,
        ):
            yield Arena(api, upstream, account, folder, nodes, observer, outage)
    finally:
        plane.stop()


def account_of(plane: ControlPlane, folder: Path) -> Path:
    """The chart's account, and more: its Role names one Lease, and here each run has one, which goes with the run."""
    account, create = operator_account(plane, folder), (ensure_tools(), plane.kubeconfig, "create")
    role, verbs, user = "leases-of-runs", "get,create,patch", f"{NAMESPACE}:{RELEASE}"
    kubectl(*create, "clusterrole", role, f"--verb={verbs}", "--resource=leases.coordination.k8s.io")
    kubectl(*create, "clusterrolebinding", role, f"--clusterrole={role}", f"--serviceaccount={user}")
    return account


def undisturbed(arena: Arena) -> Outcome:
    """The run that all others are held against. AssertionError when it violates anything itself."""
    outcome = run(arena, UNDISTURBED, None)
    assert not outcome.violations, outcome.report()
    return outcome


def length_of(outcome: Outcome) -> Length:
    """At how many points something can happen in such a run."""
    return Length(len(outcome.tally.writes), outcome.tally.events, outcome.tally.reads)
