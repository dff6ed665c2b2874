"""Why Kueue holds Jobs of stages back, in its own words: read from the Workloads that it makes for them."""

from collections import defaultdict
from collections.abc import Sequence

from .names import BATCH_JOB, QUEUE_JOB_UID, WORKLOAD
from .store import Object
from .word_poller import WordPoller

BATCH = 50  # uids in one selector: an URL has its limits


class QueuePoller(WordPoller):
    """Asks for the Workloads of Jobs that are suspended."""

    subject = "why stages wait in their queues"

    async def once(self) -> None:
        """Ask once for every Job that a queue holds. Raises ApiError."""
        held = defaultdict(list)
        for job in self._store.all(BATCH_JOB):
            if job["spec"].get("suspend"):
                held[job["metadata"]["namespace"]].append(job)
        self._keep(job for jobs in held.values() for job in jobs)
        for namespace, jobs in held.items():
            for start in range(0, len(jobs), BATCH):
                await self._ask(namespace, jobs[start : start + BATCH])

    async def _ask(self, namespace: str, jobs: Sequence[Object]) -> None:
        by_uid = {job["metadata"]["uid"]: job for job in jobs}
        workloads, _ = await self._cluster.list(WORKLOAD, f"{QUEUE_JOB_UID} in ({','.join(by_uid)})", namespace)
        for workload in workloads:
            self._publish(by_uid[workload["metadata"]["labels"][QUEUE_JOB_UID]], pending(workload))


def pending(workload: Object) -> str | None:
    """Why the Workload has no quota; None where it has, and waits for something else."""
    conditions = workload.get("status", {}).get("conditions", ())
    words = (c["message"] for c in conditions if c["type"] == "QuotaReserved" and c["status"] == "False")
    return next(words, None)
