"""Progress of running stages, read from their pods' own endpoint: no API credentials, no log access."""

import asyncio
import logging
import time
from collections.abc import Callable

import aiohttp
from distillery_api.distillationjob_status import Progress
from distillery_api.run import PROGRESS_PORT

from .logs import about
from .names import INDEX, JOB, OWNER_KIND, POD
from .pod_reports import Report, summed, worth_a_write
from .store import Key, Object, Store

log = logging.getLogger(__name__)

LIMIT = 4096  # bytes of an answer
PATIENCE = 2.0  # seconds for one pod


class ProgressPoller:
    """Asks every running stage pod; publishes by Job name, at steps that are worth a write."""

    def __init__(
        self, store: Store, published: dict[str, Progress], wake: Callable[[Key], None], period: float
    ) -> None:
        self._store, self._published, self._wake, self._period = store, published, wake, period
        # By Job name, by shard: those that ended still count, and a pod takes the place of one that failed.
        self._seen: dict[str, dict[str, Report]] = {}
        self._when: dict[str, float] = {}

    async def run(self) -> None:
        """Until cancelled."""
        timeout = aiohttp.ClientTimeout(total=PATIENCE)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            while True:
                await asyncio.sleep(self._period)
                pods = [pod for pod in self._store.all(POD) if is_running_stage(pod)]
                await asyncio.gather(*(self._poll(session, pod) for pod in pods))
                for name, pod in {job_name(pod): pod for pod in pods}.items():
                    self._publish(name, pod)
                self._forget({job_name(pod) for pod in self._store.all(POD)})

    async def _poll(self, session: aiohttp.ClientSession, pod: Object) -> None:
        owner = self._store.owner_of(pod)
        with about(self._store.get(JOB, owner) if owner else None):
            await self._ask(session, pod)

    async def _ask(self, session: aiohttp.ClientSession, pod: Object) -> None:
        address = pod["status"]["podIP"]
        host = f"[{address}]" if ":" in address else address
        try:
            async with session.get(f"http://{host}:{PROGRESS_PORT}/progress") as response:
                report = Report.model_validate_json(await response.content.read(LIMIT))
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            # A pod that starts or ends does not answer; the last word of it stands.
            log.debug("no progress from %s: %s", pod["metadata"]["name"], error)
            return
        self._seen.setdefault(job_name(pod), {})[shard(pod)] = report

    def _publish(self, name: str, pod: Object) -> None:
        total = summed(list(self._seen.get(name, {}).values()))
        held, at = self._published.get(name), self._when.get(name, 0.0)
        if total is None or not worth_a_write(held, total, time.monotonic() - at):
            return
        self._published[name], self._when[name] = total, time.monotonic()
        owner = self._store.owner_of(pod)
        if owner:
            self._wake(owner)

    def _forget(self, alive: set[str]) -> None:
        for name in set(self._seen) - alive:
            self._seen.pop(name)
            self._published.pop(name, None)
            self._when.pop(name, None)


def is_running_stage(pod: Object) -> bool:
    """Whether the pod works on a stage right now."""
    return (
        pod["metadata"].get("labels", {}).get(OWNER_KIND) == JOB.kind
        and pod.get("status", {}).get("phase") == "Running"
        and bool(pod["status"].get("podIP"))
        and "deletionTimestamp" not in pod["metadata"]
    )


def shard(pod: Object) -> str:
    """The pod's completion index; a stage without shards has one."""
    index: str = pod["metadata"].get("annotations", {}).get(INDEX, "0")
    return index


def job_name(pod: Object) -> str:
    """The Job of a pod."""
    name: str = pod["metadata"].get("labels", {}).get("batch.kubernetes.io/job-name", "")
    return name
