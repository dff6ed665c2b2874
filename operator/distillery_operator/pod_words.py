"""Why Kubernetes makes no pods for Jobs of stages, in the Job controller's words: read from its events."""

import re
from collections import defaultdict
from collections.abc import Sequence

from .attempts import released_at
from .names import BATCH_JOB, EVENT
from .plans import seconds_between
from .reconcile import now
from .store import Object
from .word_poller import WordPoller

ASK_AFTER = 10.0  # seconds without a pod: half of the patience, so that the answer is there when that is over
FAILED = "involvedObject.kind=Job,reason=FailedCreate"
COMBINED = "(combined from similar events): "
PREFIX = 50  # characters of a Job's name that its pods' names have, too, be it ever so long


class PodPoller(WordPoller):
    """Asks for events of Jobs that should have a pod and have none, by one LIST a namespace."""

    subject = "why Jobs get no pods"

    async def once(self) -> None:
        """Ask once for every Job without a pod. Raises ApiError."""
        podless, at = defaultdict(list), now()
        for job in self._store.all(BATCH_JOB):
            if is_podless(job, at):
                podless[job["metadata"]["namespace"]].append(job)
        self._keep(job for jobs in podless.values() for job in jobs)
        for namespace, jobs in podless.items():
            events, _ = await self._cluster.list(EVENT, None, namespace, FAILED)
            for job in jobs:
                self._publish(job, told(job, events))


def is_podless(job: Object, now: str) -> bool:
    """Whether the Job may have had pods for a while, and its controller counts none. `now` is RFC 3339."""
    status = job.get("status", {})
    true = {c["type"] for c in status.get("conditions", ()) if c["status"] == "True"}
    if any(status.get(name) for name in ("active", "succeeded", "failed")) or true & {"Complete", "Failed"}:
        return False
    since = released_at(job, held="Suspended" in true)
    return since is not None and seconds_between(since, now) >= ASK_AFTER


def told(job: Object, events: Sequence[Object]) -> str | None:
    """The controller's last words on the Job, without the pod's name, which is another one at each try."""
    name, uid = job["metadata"]["name"], job["metadata"]["uid"]
    mine = [event for event in events if event["involvedObject"].get("uid") == uid]
    if not mine:
        return None
    last = max(mine, key=lambda event: event.get("lastTimestamp") or event["metadata"]["creationTimestamp"])
    pod = rf'"{re.escape(name[:PREFIX])}[^"]*"'
    return re.sub(pod, f'"{name}-*"', last["message"].removeprefix(COMBINED))
