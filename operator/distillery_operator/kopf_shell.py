"""The one place that knows kopf: event streams, login, probe and lifecycle. No handler decides anything."""

import asyncio
import datetime as dt
import logging
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kopf

from .names import CHILDREN, FIELD_MANAGER, MANAGED_SELECTOR, PARENTS, Kind
from .store import Object

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
TOKEN_LIFE = dt.timedelta(minutes=45)  # the kubelet renews tokens at 80 % of an hour

log = logging.getLogger(__name__)

Seen = Callable[[Kind, str | None, Object], None]


class WatchEndedError(Exception):
    """kopf gave up on a watch, which it does where trying again is of no use."""


def build_registry(seen: Seen, trouble: Callable[[], str | None], kubeconfig: str | None) -> kopf.OperatorRegistry:
    """Handlers that pass raw events on, and a probe."""
    registry = kopf.OperatorRegistry()
    for kind in (*PARENTS, *CHILDREN):
        watch(registry, kind, seen)

    @kopf.on.probe(id="watches", registry=registry)
    async def watches(**_: Any) -> str:
        reason = trouble()
        if reason:
            log.error("unhealthy: %s", reason)
            raise kopf.PermanentError(reason)
        return "ok"

    @kopf.on.login(registry=registry)
    def login(**kwargs: Any) -> kopf.ConnectionInfo | None:
        if kubeconfig:
            os.environ["KUBECONFIG"] = kubeconfig  # kopf reads no other
            return kopf.login_with_kubeconfig(**kwargs)
        return service_account()

    return registry


def watch(registry: kopf.OperatorRegistry, kind: Kind, seen: Seen) -> None:
    """Pass on every event of a kind."""

    @kopf.on.event(kind.group, kind.version, kind.plural, registry=registry, id=f"see-{kind.plural}")
    async def see(event: Any, **_: Any) -> None:
        seen(kind, event["type"], dict(event["object"]))


def service_account() -> kopf.ConnectionInfo:
    """The pod's own identity, by address: the operator needs no DNS."""
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
    return kopf.ConnectionInfo(
        server=f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
        ca_path=str(ACCOUNT / "ca.crt"),
        token=(ACCOUNT / "token").read_text().strip(),
        expiration=dt.datetime.now(dt.UTC) + TOKEN_LIFE,
    )


class NoDiffBase(kopf.DiffBaseStorage):
    """kopf compares nothing: it would copy every object three times for handlers that we do not have."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        """Nothing of the object."""
        return kopf.BodyEssence({})

    def fetch(self, **_: Any) -> kopf.BodyEssence | None:
        """Nothing was stored."""
        return None

    def store(self, **_: Any) -> None:
        """Only handlers of changes store what they saw."""
        raise NotImplementedError


def build_settings() -> kopf.OperatorSettings:
    """kopf's settings: nothing posted, nothing stored on objects, watches that notice silence."""
    settings = kopf.OperatorSettings()
    settings.peering.standalone = True
    settings.posting.enabled = False
    settings.scanning.disabled = True  # kinds are fixed; a CRD that goes away ends the process
    settings.watching.server_timeout = 300
    settings.watching.chunk_size = 100
    settings.networking.request_timeout = 30
    settings.networking.connect_timeout = 5
    settings.queueing.idle_timeout = 1.0
    settings.persistence.diffbase_storage = NoDiffBase()
    settings.persistence.finalizer = f"{FIELD_MANAGER}/never"  # must not appear on any object
    for kind in CHILDREN:
        settings.watching.label_selectors[kind.group, kind.version, kind.plural] = MANAGED_SELECTOR
    return settings


async def run(registry: kopf.OperatorRegistry, health_port: int, namespace: str, stop: asyncio.Event) -> None:
    """Until `stop`, which SIGTERM and SIGINT set. `namespace` is empty for all of them. Raises WatchEndedError."""
    existing = asyncio.all_tasks()
    tasks = await kopf.spawn_tasks(
        registry=registry,
        settings=build_settings(),
        clusterwide=not namespace,
        namespaces=[namespace] if namespace else [],
        standalone=True,
        liveness_endpoint=f"http://0.0.0.0:{health_port}/healthz",
        stop_flag=stop,
    )
    # In place of kopf's own, which would only end its watches: the Lease is to be given back first.
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        await kopf.run_tasks(tasks, ignored=existing)
    except Exception as error:
        raise WatchEndedError(f"a watch ended: {type(error).__name__}: {error}") from error
