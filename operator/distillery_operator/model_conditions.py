"""Conditions of a DistilledModel: Ready says whether a student answers, whatever becomes of a candidate."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from distillery_api.schema import Condition

from .conditions import Wanted, merged
from .names import REVISION
from .offers import UNDECIDED

if TYPE_CHECKING:
    from .model_plan import Pass


def model_conditions(state: "Pass", held: Sequence[Condition]) -> list[Condition]:
    """All conditions, each set on every pass; Reconciling and Stalled are never True together."""
    wanted = [readiness(state), *movement(state), rejected(state)]
    return merged(held, wanted, state.view.generation, state.now)


def readiness(state: "Pass") -> Wanted:
    """Whether callers get answers."""
    hindrance = state.stalled or state.delayed
    if hindrance and not leads_to_active(state):
        return routed_elsewhere(state, hindrance)
    if state.active is None and state.candidate is not None:
        return Wanted("Ready", "False", "Starting", f"the first student, revision {state.candidate.revision}, starts")
    if state.active is None:
        return Wanted(
            "Ready",
            "False",
            "NoStudent",
            "no student has passed its gate yet: apply a DistillationJob that promotes here",
        )
    if no_pod_answers(state):
        why = (state.rollout.failure if state.rollout else None) or "no pod of the active revision is ready yet"
        return Wanted("Ready", "False", "NotAvailable", why)
    return Wanted("Ready", "True", "Serving", f"revision {state.active.revision} serves {state.active.digest[:19]}")


def leads_to_active(state: "Pass") -> bool:
    """Whether the Service leads to the active revision."""
    return state.routed is not None and state.routed == state.rollout


def routed_elsewhere(state: "Pass", hindrance: tuple[str, str]) -> Wanted:
    """Callers reach the revision before, or nothing, because Kubernetes does not take a child."""
    if state.routed is None or state.routed.ready_replicas == 0:
        return Wanted("Ready", "False", *hindrance)
    revision = state.routed.deployment["metadata"]["labels"][REVISION]
    return Wanted("Ready", "True", "Serving", f"revision {revision} serves, as the Service cannot be changed")


def no_pod_answers(state: "Pass") -> bool:
    """Whether the active revision has no ready pod."""
    return state.active is not None and (state.rollout is None or state.rollout.ready_replicas == 0)


def movement(state: "Pass") -> list[Wanted]:
    """Reconciling, where a change is on its way; Stalled, where nothing comes of it until somebody acts."""
    if stopped := blocked(state):
        return [Wanted("Reconciling", "False", stopped[0]), Wanted("Stalled", "True", *stopped)]
    if change := under_way(state):
        return [Wanted("Reconciling", "True", *change), Wanted("Stalled", "False", change[0])]
    return [Wanted("Reconciling", "False", "Settled"), Wanted("Stalled", "False", "Settled")]


def blocked(state: "Pass") -> tuple[str, str] | None:
    """What the API server would not have, or what Kubernetes gave up."""
    if state.stalled:
        return state.stalled
    if state.candidate is not None and state.trouble is not None:
        return "RevisionFailing", f"revision {state.candidate.revision} does not come up: {state.trouble}"
    if no_pod_answers(state) and state.rollout is not None and state.rollout.failure is not None:
        return "NotAvailable", state.rollout.failure
    return None


def under_way(state: "Pass") -> tuple[str, str] | None:
    """The change that is on its way."""
    if state.delayed:
        return state.delayed
    if state.candidate is not None:
        return "Promoting", f"revision {state.candidate.revision} comes up"
    if state.active is not None and no_pod_answers(state):
        return "Starting", f"revision {state.active.revision} starts"
    return None


def rejected(state: "Pass") -> Wanted:
    """A job that cannot be read, or else the last student that was offered, if it was not taken."""
    if state.unread:
        return Wanted("CandidateRejected", "True", "JobUnreadable", state.unread)
    last = state.history[-1] if state.history else None
    if last is None or last.outcome == "Promoted":
        return Wanted("CandidateRejected", "False", "None")
    words = f"student of job {last.job}: {last.message}"
    if last.reason == UNDECIDED and (state.view.by_hand.promote or state.view.by_hand.reject):
        words = f"{words}; the annotation that is there names another student or another report"
    return Wanted("CandidateRejected", "True", last.reason, words[:1024])
