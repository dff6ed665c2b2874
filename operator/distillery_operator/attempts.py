"""What the Job and the pods of one attempt of a stage show."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from distillery_api.summary import Failure, Summary, parse

from .names import ATTEMPT, STAGE
from .store import Object

INDEX = "batch.kubernetes.io/job-completion-index"


@dataclass(frozen=True)
class Attempt:
    """One attempt, as observed."""

    name: str
    uid: str
    outcome: str  # Running | Complete | Failed
    created_at: str | None = None
    pods: int = 0
    active: bool = False  # one of them is running
    results: dict[int, Summary] = field(default_factory=dict)  # by completion index; 0 for a plain Job
    failure: Failure | None = None  # the worker's own words, or the best that Kubernetes offers
    waiting: tuple[str, str] | None = None  # reason and message of a pod that cannot start
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
    return Attempt(
        name=job["metadata"]["name"],
        uid=job["metadata"]["uid"],
        outcome=outcome,
        created_at=job["metadata"].get("creationTimestamp"),
        pods=len(mine),
        active=any(pod.get("status", {}).get("phase") == "Running" for pod in mine),
        results=results(mine),
        failure=failure(mine, ended) if outcome == "Failed" else None,
        waiting=waiting(mine) if outcome == "Running" else None,
        started_at=job.get("status", {}).get("startTime"),
        finished_at=ended.get("lastTransitionTime"),
        image=next((container["image"] for pod in mine for container in pod["spec"]["containers"]), None),
        image_id=next((status["imageID"] for status in map(container, mine) if status.get("imageID")), None),
    )


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
    ends = sorted((end for end in map(terminated, pods) if end.get("exitCode")), key=lambda end: end["finishedAt"])
    for end in reversed(ends):
        summary = parse(end.get("message", ""))
        if summary is not None and summary.failure is not None:
            return summary.failure
    if ends:
        last = ends[-1]
        words = (last.get("message") or "").strip().splitlines()
        detail = f": {words[-1]}" if words else ""
        if last.get("reason") == "OOMKilled":
            return Failure(
                reason="OutOfMemory",
                message="the pod ran out of memory; raise the stage's resources.limits.memory",
            )
        return Failure(
            reason="WorkerFailed",
            message=f"the last pod ended with exit code {last['exitCode']}{detail}"[:1024],
        )
    words_of = condition.get("message") or "the Job failed and left no pod to ask"
    return Failure(reason=condition.get("reason") or "JobFailed", message=words_of[:1024])


def waiting(pods: Sequence[Object]) -> tuple[str, str] | None:
    """Why a pod cannot start, in the words of the scheduler or the kubelet."""
    for pod in pods:
        for condition in pod.get("status", {}).get("conditions", ()):
            if condition["type"] == "PodScheduled" and condition["status"] == "False":
                return condition.get("reason", "Unschedulable"), condition.get("message", "")
        state = container(pod).get("state", {}).get("waiting", {})
        if state.get("reason") not in (None, "ContainerCreating", "PodInitializing"):
            return state["reason"], state.get("message", "")
    return None
