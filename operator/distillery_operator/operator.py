"""Puts the parts together: store, queue, workers, resync, progress, Lease, and kopf around them."""

import asyncio
import functools
import logging
from collections.abc import Iterable
from typing import Any

from prometheus_client import start_http_server

from . import kopf_shell
from .cluster import ApiError, Cluster
from .lease import Candidate, Elector
from .logs import about
from .metrics import LEADING, QUEUE_DEPTH, QUEUE_SECONDS, WATCH_AGE, WATCH_EVENTS
from .names import CHILDREN, JOB, MODEL, OWNER_KIND, PARENTS, Kind
from .pod_words import PodPoller
from .progress import ProgressPoller
from .queue_words import QueuePoller
from .reconcile import Item, Reconciler
from .resync import Resync
from .schema_check import check_schemas
from .settings import Settings
from .store import Key, Object, Store, key_of
from .views import ended, promotes_to, read_by_jobs
from .word_poller import WordPoller
from .workqueue import WorkQueue

log = logging.getLogger(__name__)

FAREWELL = 5.0  # seconds that kopf gets to end its watches


class Operator:
    """The running operator: it follows the cluster from the start, and acts once it leads."""

    def __init__(self, cluster: Cluster, settings: Settings) -> None:
        self.settings = settings
        self.cluster = cluster
        self.store = Store()
        self.queue: WorkQueue[Item] = WorkQueue(
            lambda item, seconds: QUEUE_SECONDS.labels(item[0].kind).observe(seconds)
        )
        self.reconciler = Reconciler(cluster, self.store, settings, self.touched)
        self.resync = Resync(cluster, self.store, self.touched, settings.resync_seconds, settings.watch_namespace)
        self.leading = asyncio.Event()
        self.told: dict[Key, Object | None] = {}  # of each model, what its jobs last had a pass for
        self.progress = ProgressPoller(self.store, self.reconciler.progress, self.wake_job, settings.progress_seconds)
        self.queues = QueuePoller(
            cluster, self.store, self.reconciler.words.queue, self.wake_job, settings.progress_seconds
        )
        self.podless = PodPoller(
            cluster, self.store, self.reconciler.words.pods, self.wake_job, settings.progress_seconds
        )
        self.measure()

    def measure(self) -> None:
        """Let a scrape read depth of the queue and age of the watches as they are then."""
        for parent in PARENTS:
            QUEUE_DEPTH.labels(parent.kind).set_function(functools.partial(self.depth, parent))
        for kind in (*PARENTS, *CHILDREN):
            WATCH_AGE.labels(kind.kind).set_function(functools.partial(self.resync.silence, kind))

    def depth(self, kind: Kind) -> int:
        """Objects of the kind that wait for a pass."""
        return sum(item[0] == kind for item in self.queue.waiting())

    def lead(self) -> None:
        """Act from now on; every object gets a pass."""
        self.leading.set()
        for kind in PARENTS:
            for obj in self.store.all(kind):
                self.queue.add((kind, *key_of(obj)))

    async def stand_for(self, elector: Elector) -> None:
        """Lead while the Lease is held. Raises LeaseLostError."""
        await elector.acquire()
        self.lead()
        await elector.hold()

    def wake_job(self, key: Key) -> None:
        """Ask for a pass over a DistillationJob."""
        self.queue.add((JOB, *key))

    def seen(self, kind: Kind, event: str | None, obj: Object) -> None:
        """Take an event into the store, and wake whoever it concerns."""
        WATCH_EVENTS.labels(kind.kind).inc()
        self.resync.heard(kind)
        if event == "DELETED":
            changed = self.store.remove(kind, key_of(obj), obj["metadata"]["uid"])
        else:
            changed = self.store.put(kind, obj)
        if changed:
            self.touched(kind, obj)

    def touched(self, kind: Kind, obj: Object) -> None:
        """Wake the object itself or its parent, and the other side of a promotion."""
        if not self.leading.is_set():
            return  # `lead` wakes all there is
        namespace, name = key_of(obj)
        if kind not in PARENTS:
            owner = self.store.owner_of(obj)
            parent = next((p for p in PARENTS if p.kind == obj["metadata"].get("labels", {}).get(OWNER_KIND)), None)
            if owner and parent:
                self.queue.add((parent, *owner))
            return
        self.queue.add((kind, namespace, name))
        if kind == JOB and (target := promotes_to(obj)) and ended(obj):
            self.queue.add((MODEL, *target))
        if kind == MODEL and self.is_news_to_jobs((namespace, name)):
            for job in self.store.all(JOB):
                if promotes_to(job) == (namespace, name) and not ended(job):
                    self.queue.add((JOB, *key_of(job)))

    def is_news_to_jobs(self, model: Key) -> bool:
        """Whether something changed that jobs read of the model: of thousands each would get a pass for nothing."""
        known, now = self.told.pop(model, None), read_by_jobs(self.store.get(MODEL, model))
        if now is not None:
            self.told[model] = now
        return now is None or now != known

    async def poll(self, poller: ProgressPoller | WordPoller) -> None:
        """Ask running stages for their progress, or others why stages wait, until cancelled."""
        await self.leading.wait()
        await poller.run()

    async def work(self) -> None:
        """One worker: passes until cancelled."""
        await self.leading.wait()
        while True:
            item = await self.queue.get()
            with about(self.store.get(item[0], item[1:])):
                await self.attempt(item)

    async def attempt(self, item: Item) -> None:
        """One pass; a poisonous object only delays itself."""
        try:
            again = await self.reconciler.reconcile(item)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            delay = self.queue.failed(item)
            log.warning("pass failed, next in %.1f s: %s", delay, error, exc_info=not isinstance(error, ApiError))
            return
        self.queue.done(item)
        if again is not None:
            self.queue.add_after(item, again)


async def run(settings: Settings, kubeconfig: str | None, candidate: Candidate | None) -> None:
    """Run until a signal; raises when the operator should be restarted. Without a candidate it leads at once."""
    start_http_server(settings.metrics_port)
    async with Cluster(kubeconfig) as cluster:
        if settings.check_crds:
            await check_schemas(cluster)
        operator = Operator(cluster, settings)
        await operator.resync.once()
        log.info("started", extra={"objects": sum(len(operator.store.all(kind)) for kind in PARENTS)})
        try:
            await serve(operator, kubeconfig, Elector(cluster, candidate) if candidate else None)
        except kopf_shell.WatchEndedError:
            if settings.check_crds:
                await check_schemas(cluster)  # a CRD that was deleted or replaced has a better message
            raise


async def serve(operator: Operator, kubeconfig: str | None, elector: Elector | None) -> None:
    """Follow and act until a signal; then stop writing, give the Lease back, and end the watches, in that order."""
    stop, settings = asyncio.Event(), operator.settings
    registry = kopf_shell.build_registry(operator.seen, operator.resync.trouble, kubeconfig)
    # Tasks that exist before kopf starts are ours to end, not kopf's.
    tasks = [asyncio.create_task(operator.work()) for _ in range(settings.workers)]
    pollers: list[ProgressPoller | WordPoller] = [operator.progress, operator.podless]
    if settings.kueue.enabled:
        pollers.append(operator.queues)
    tasks += [asyncio.create_task(operator.resync.run())]
    tasks += [asyncio.create_task(operator.poll(poller)) for poller in pollers]
    signalled = asyncio.create_task(stop.wait())
    if elector:
        operator.cluster.may_write = elector.left
        tasks.append(asyncio.create_task(operator.stand_for(elector)))
    else:
        LEADING.set(1)
        operator.lead()
    shell = asyncio.create_task(kopf_shell.run(registry, settings.health_port, settings.watch_namespace, stop))
    try:
        done, _ = await asyncio.wait([shell, signalled, *tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        await end([*tasks, signalled])
        if elector:
            await elector.release()
        stop.set()
        await asyncio.wait([shell], timeout=FAREWELL)


async def end(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel and wait; what they raise was told before."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
