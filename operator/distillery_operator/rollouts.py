"""How the Deployment of a revision fares."""

from collections.abc import Sequence
from dataclasses import dataclass

from distillery_api.exits import PERMANENT

from .attempts import container
from .names import REVISION
from .store import Object


@dataclass(frozen=True)
class Rollout:
    """One Deployment, as observed."""

    deployment: Object
    replicas: int  # asked for
    ready_replicas: int
    failure: str | None

    @property
    def ready(self) -> bool:
        """Whether every pod that was asked for answers."""
        return self.ready_replicas >= self.replicas > 0


def observe_rollout(deployment: Object, pods: Sequence[Object]) -> Rollout:
    """Read the Deployment and its pods."""
    status = deployment.get("status", {})
    seen = status.get("observedGeneration", 0) >= deployment["metadata"]["generation"]
    revision = deployment["metadata"]["labels"][REVISION]
    mine = [pod for pod in pods if pod["metadata"].get("labels", {}).get(REVISION) == revision]
    return Rollout(
        deployment=deployment,
        replicas=deployment["spec"]["replicas"],
        ready_replicas=status.get("readyReplicas", 0) if seen else 0,
        failure=refused(mine) or overdue(status),
    )


def routed_to(service: Object) -> str:
    """The revision that the Service selects, or nothing."""
    revision: str = service["spec"].get("selector", {}).get(REVISION, "")
    return revision


def refused(pods: Sequence[Object]) -> str | None:
    """Why a server gave up for good: it ends with the exit code of a wrong input."""
    for pod in pods:
        state = container(pod)
        for end in (state.get("state", {}).get("terminated"), state.get("lastState", {}).get("terminated")):
            if end and end.get("exitCode") == PERMANENT:
                return (end.get("message") or "the server refused the artifact").strip()[:512]
    return None


def overdue(status: Object) -> str | None:
    """Kubernetes' own word that the Deployment does not get on."""
    for condition in status.get("conditions", ()):
        if condition["type"] == "Progressing" and condition.get("reason") == "ProgressDeadlineExceeded":
            message: str = condition.get("message", "the Deployment did not become available in time")
            return message
    return None
