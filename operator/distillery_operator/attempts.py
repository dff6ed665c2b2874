"""What the Job and the pods of one attempt of a stage show."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from distillery_api.exits import DONE, STOPPED
from distillery_api.schema import Failure
from distillery_api.summary import Summary, parse

from .names import ATTEMPT, INDEX, QUEUE, STAGE
from .store import Object

NO_IMAGE = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable")


@dataclass(frozen=True)
class Attempt:
    """One attempt, as observed."""

    name: str
    uid: str
    outcome: str  # Running | Complete | Failed
    leaving: bool = False  # it is being deleted
    suspended: bool = False  # its queue holds it back
    queue: str | None = None  # the LocalQueue that its Job names, be it by Kueue's own default
    backoff_limit: int = 0  # pod failures that the Job survives
    crashed: int = 0  # pods that failed by themselves, see crashed()
    out_of_memory: bool = False  # one of them was killed for its memory
    pods: int = 0
    running: int = 0  # pods
    running_since: str | None = None  # the first of them
    last_start: str | None = None
    last_end: str | None = None
    results: dict[int, Summary] = field(default_factory=dict)  # by completion index; 0 for a plain Job
    failure: Failure | None = None  # the worker's own words, or the best that Kubernetes offers
    waiting: tuple[str, str] | None = None  # reason and message of a pod that cannot start
    waits_for_image: bool = False
    waiting_since: str | None = None
    released_at: str | None = None  # since when it may have pods; None until the Job controller has let it go
    started_at: str | None = None
    finished_at: str | None = None
    image: str | None = None
    image_id: str | None = None


def observe_attempt(job: Object, pods: Sequence[Object]) -> Attempt:
    """Read the Job and its pods."""
    mine = [pod for pod in pods if is_pod_of(pod, job)]
    conditions = {c["type"]: c for c in job.get("status", {}).get("conditions", ()) if c["status"] == "True"}
    outcome = "Complete" if "Complete" in conditions else "Failed" if "Failed" in conditions else "Running"
    ended = conditions.get("Complete") or conditions.get("Failed") or {}
    stuck = next((pod for pod in mine if waiting(pod)), None) if outcome == "Running" else None
    running = [pod for pod in mine if pod.get("status", {}).get("phase") == "Running"]
    starts = [start for pod in mine if (start := started(pod))]
    return Attempt(
        name=job["metadata"]["name"],
        uid=job["metadata"]["uid"],
        outcome=outcome,
        leaving="deletionTimestamp" in job["metadata"],
        suspended=bool(job["spec"].get("suspend")),
        queue=job["metadata"].get("labels", {}).get(QUEUE),
        backoff_limit=job["spec"].get("backoffLimit", 0),
        crashed=sum(crashed(pod) for pod in mine),
        out_of_memory=any(terminated(pod).get("reason") == "OOMKilled" for pod in mine),
        pods=len(mine),
        running=len(running),
        running_since=min(starts, default=None),
        last_start=max(starts, default=None),
        last_end=max((end["finishedAt"] for pod in mine if "finishedAt" in (end := terminated(pod))), default=None),
        results=results(mine),
        failure=failure(mine, ended) if outcome == "Failed" else None,
        waiting=waiting(stuck) if stuck else None,
        waits_for_image=container(stuck or {}).get("state", {}).get("waiting", {}).get("reason") in NO_IMAGE,
        waiting_since=stuck["metadata"].get("creationTimestamp") if stuck else None,
        released_at=released_at(job, held="Suspended" in conditions),
        started_at=job.get("status", {}).get("startTime"),
        finished_at=ended.get("lastTransitionTime"),
        image=next((container["image"] for pod in mine for container in pod["spec"]["containers"]), None),
        image_id=next((status["imageID"] for status in map(container, mine) if status.get("imageID")), None),
    )


def released_at(job: Object, held: bool) -> str | None:
    """Since when the Job may have pods. `held`: its controller has not seen yet that a queue let it go."""
    if held or job["spec"].get("suspend"):
        return None
    at: str | None = job.get("status", {}).get("startTime") or job["metadata"].get("creationTimestamp")
    return at


def is_pod_of(pod: Object, job: Object) -> bool:
    """Whether the Job controls the pod."""
    owners = pod["metadata"].get("ownerReferences", ())
    return any(owner["uid"] == job["metadata"]["uid"] for owner in owners)


def is_attempt(obj: Object, stage: str, attempt: int) -> bool:
    """Whether the Job or pod belongs to that attempt of that stage."""
    labels = obj["metadata"].get("labels", {})
    return bool(labels.get(STAGE) == stage and labels.get(ATTEMPT) == str(attempt))


def container(pod: Object) -> Object:
    """Status of the pod's only container."""
    statuses: Sequence[Object] = pod.get("status", {}).get("containerStatuses", ())
    return statuses[0] if statuses else {}


def terminated(pod: Object) -> Object:
    """How the container ended."""
    state: Object = container(pod).get("state", {}).get("terminated", {})
    return state


def results(pods: Sequence[Object]) -> dict[int, Summary]:
    """Summaries of pods that ended well, by completion index."""
    found: dict[int, Summary] = {}
    for pod in pods:
        end = terminated(pod)
        summary = parse(end.get("message", "")) if end.get("exitCode") == 0 else None
        if summary is not None and summary.failure is None:
            found[int(pod["metadata"].get("annotations", {}).get(INDEX, 0))] = summary
    return found


def failure(pods: Sequence[Object], condition: Object) -> Failure:
    """Why the Job failed: what the last failed pod said, else what Kubernetes says."""
    # A pod that was stopped went on elsewhere: it is never why the Job failed.
    failed = (end for end in map(terminated, pods) if end.get("exitCode") not in (None, DONE, STOPPED))
    ends = sorted(failed, key=lambda end: end["finishedAt"])
    for end in reversed(ends):
        summary = parse(end.get("message", ""))
        if summary is not None and summary.failure is not None:
            return summary.failure
    if ends:
        last = ends[-1]
        words = (last.get("message") or "").strip().splitlines()
        detail = f": {words[-1]}" if words else ""
        return Failure(
            reason="WorkerFailed",
            message=f"the last pod ended with exit code {last['exitCode']}{detail}"[:1024],
        )
    words_of = condition.get("message") or "the Job failed and left no pod to ask"
    return Failure(reason=condition.get("reason") or "JobFailed", message=words_of[:1024])


def waiting(pod: Object) -> tuple[str, str] | None:
    """Why a pod cannot start, in the words of the scheduler or the kubelet."""
    for condition in pod.get("status", {}).get("conditions", ()):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return condition.get("reason", "Unschedulable"), condition.get("message", "")
    state = container(pod).get("state", {}).get("waiting", {})
    if state.get("reason") not in (None, "ContainerCreating", "PodInitializing"):
        return state["reason"], state.get("message", "")
    return None


def started(pod: Object) -> str | None:
    """When the pod's container began to run."""
    state = container(pod).get("state", {})
    at: str | None = (state.get("running") or state.get("terminated") or {}).get("startedAt")
    if at is None and pod.get("status", {}).get("phase") == "Running":
        at = pod["status"].get("startTime")
    return at


def crashed(pod: Object) -> bool:
    """Whether the pod failed by itself: those that were taken away are marked, or are being deleted."""
    status = pod.get("status", {})
    taken = any(c["type"] == "DisruptionTarget" and c["status"] == "True" for c in status.get("conditions", ()))
    return status.get("phase") == "Failed" and not taken and "deletionTimestamp" not in pod["metadata"]
