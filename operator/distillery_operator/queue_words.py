"""Why Kueue holds Jobs of stages back, in its own words: read from the Workloads that it makes for them."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Sequence

from .cluster import ApiError, Cluster
from .names import BATCH_JOB, QUEUE_JOB_UID, WORKLOAD
from .store import Key, Object, Store

log = logging.getLogger(__name__)

BATCH = 50  # uids in one selector: an URL has its limits


class QueuePoller:
    """Asks for the Workloads of Jobs that are suspended; publishes by Job name what changed."""

    def __init__(
        self, cluster: Cluster, store: Store, published: dict[str, str], wake: Callable[[Key], None], period: float
    ) -> None:
        self._cluster, self._store, self._published = cluster, store, published
        self._wake, self._period = wake, period

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(self._period)
            try:
                await self.once()
            except ApiError as error:
                log.warning("why stages wait in their queues cannot be read: %s", error)

    async def once(self) -> None:
        """Ask once for every Job that a queue holds. Raises ApiError."""
        held = defaultdict(list)
        for job in self._store.all(BATCH_JOB):
            if job["spec"].get("suspend"):
                held[job["metadata"]["namespace"]].append(job)
        for name in set(self._published) - {job["metadata"]["name"] for jobs in held.values() for job in jobs}:
            self._published.pop(name)
        for namespace, jobs in held.items():
            for start in range(0, len(jobs), BATCH):
                await self._ask(namespace, jobs[start : start + BATCH])

    async def _ask(self, namespace: str, jobs: Sequence[Object]) -> None:
        by_uid = {job["metadata"]["uid"]: job for job in jobs}
        workloads, _ = await self._cluster.list(WORKLOAD, f"{QUEUE_JOB_UID} in ({','.join(by_uid)})", namespace)
        for workload in workloads:
            self._publish(by_uid[workload["metadata"]["labels"][QUEUE_JOB_UID]], pending(workload))

    def _publish(self, job: Object, words: str | None) -> None:
        name = job["metadata"]["name"]
        if self._published.get(name) == words:
            return
        self._published.pop(name, None)
        if words is not None:
            self._published[name] = words
        if owner := self._store.owner_of(job):
            self._wake(owner)


def pending(workload: Object) -> str | None:
    """Why the Workload has no quota; None where it has, and waits for something else."""
    conditions = workload.get("status", {}).get("conditions", ())
    words = (c["message"] for c in conditions if c["type"] == "QuotaReserved" and c["status"] == "False")
    return next(words, None)
