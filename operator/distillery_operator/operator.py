"""Puts the parts together: store, queue, workers, resync, progress, and kopf around them."""

import asyncio
import contextlib
import logging

from prometheus_client import start_http_server

from . import kopf_shell
from .cluster import ApiError, Cluster
from .metrics import QUEUE_DEPTH, WATCH_EVENTS
from .names import JOB, MODEL, OWNER_KIND, PARENTS, Kind
from .progress import ProgressPoller
from .reconcile import Item, Reconciler
from .resync import Resync
from .schema_check import check_schemas
from .settings import Settings
from .store import Key, Object, Store, key_of
from .views import promotes_to
from .workqueue import WorkQueue

log = logging.getLogger(__name__)


class Operator:
    """The running operator."""

    def __init__(self, cluster: Cluster, settings: Settings) -> None:
        self.settings = settings
        self.cluster = cluster
        self.store = Store()
        self.queue: WorkQueue[Item] = WorkQueue()
        self.reconciler = Reconciler(cluster, self.store, settings, self.touched)
        self.resync = Resync(cluster, self.store, self.touched, settings.resync_seconds)
        self.progress = ProgressPoller(self.store, self.reconciler.progress, self.wake_job, settings.progress_seconds)

    def wake_job(self, key: Key) -> None:
        """Ask for a pass over a DistillationJob."""
        self.queue.add((JOB, *key))

    def seen(self, kind: Kind, event: str | None, obj: Object) -> None:
        """Take an event into the store, and wake whoever it concerns."""
        WATCH_EVENTS.labels(kind.kind).inc()
        if event == "DELETED":
            changed = self.store.remove(kind, key_of(obj), obj["metadata"]["uid"])
        else:
            changed = self.store.put(kind, obj)
        if changed:
            self.touched(kind, obj)

    def touched(self, kind: Kind, obj: Object) -> None:
        """Wake the object itself or its parent, and the other side of a promotion."""
        namespace, name = key_of(obj)
        if kind not in PARENTS:
            owner = self.store.owner_of(obj)
            parent = next((p for p in PARENTS if p.kind == obj["metadata"].get("labels", {}).get(OWNER_KIND)), None)
            if owner and parent:
                self.queue.add((parent, *owner))
            return
        self.queue.add((kind, namespace, name))
        if kind == JOB and (target := promotes_to(obj)):
            self.queue.add((MODEL, *target))
        if kind == MODEL:
            for job in self.store.all(JOB):
                if promotes_to(job) == (namespace, name) and not job.get("status", {}).get("finishedAt"):
                    self.queue.add((JOB, *key_of(job)))

    async def work(self) -> None:
        """One worker: passes until cancelled; a poisonous object only delays itself."""
        while True:
            item = await self.queue.get()
            QUEUE_DEPTH.set(len(self.queue))
            try:
                again = await self.reconciler.reconcile(item)
            except asyncio.CancelledError:
                raise
            except Exception as error:
                delay = self.queue.failed(item)
                expected = isinstance(error, ApiError)
                log.warning(
                    "pass failed, next in %.1f s: %s", delay, error, exc_info=not expected,
                    extra={"kind": item[0].kind, "namespace": item[1], "name_": item[2]},
                )  # fmt: skip
                continue
            self.queue.done(item)
            if again is not None:
                self.queue.add_after(item, again)


async def run(settings: Settings, kubeconfig: str | None) -> None:
    """Run until a signal; raises when the operator should be restarted."""
    start_http_server(settings.metrics_port)
    async with Cluster(kubeconfig) as cluster:
        await check_schemas(cluster)
        operator = Operator(cluster, settings)
        await operator.resync.once()
        # Tasks that exist before kopf starts are ours to end, not kopf's.
        tasks = [asyncio.create_task(operator.work()) for _ in range(settings.workers)]
        tasks += [asyncio.create_task(operator.resync.run()), asyncio.create_task(operator.progress.run())]
        log.info("started", extra={"objects": sum(len(operator.store.all(kind)) for kind in PARENTS)})
        registry = kopf_shell.build_registry(operator.seen, operator.resync.trouble, kubeconfig)
        shell = asyncio.create_task(kopf_shell.run(registry, settings.health_port))
        try:
            done, _ = await asyncio.wait([shell, *tasks], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            for task in tasks:
                with contextlib.suppress(asyncio.CancelledError):
                    await task
