"""Conditions of a DistilledModel: Ready says whether a student answers, whatever becomes of a candidate."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from distillery_api.schema import Condition

from .conditions import Wanted, merged

if TYPE_CHECKING:
    from .model_plan import Pass


def model_conditions(state: "Pass", held: Sequence[Condition]) -> list[Condition]:
    """All conditions, each set on every pass."""
    wanted = [readiness(state), reconciling(state), stalled(state), rejected(state)]
    return merged(held, wanted, state.view.generation, state.now)


def readiness(state: "Pass") -> Wanted:
    """Whether callers get answers."""
    if state.active is None and state.candidate is not None:
        return Wanted("Ready", "False", "Starting", f"the first student, revision {state.candidate.revision}, starts")
    if state.active is None:
        return Wanted(
            "Ready",
            "False",
            "NoStudent",
            "no student has passed its gate yet: apply a DistillationJob that promotes here",
        )
    if state.rollout is None or state.rollout.ready_replicas == 0:
        why = (state.rollout.failure if state.rollout else None) or "no pod of the active revision is ready yet"
        return Wanted("Ready", "False", "NotAvailable", why)
    return Wanted("Ready", "True", "Serving", f"revision {state.active.revision} serves {state.active.digest[:19]}")


def reconciling(state: "Pass") -> Wanted:
    """Whether a change is on its way by itself."""
    if state.stalled:
        return Wanted("Reconciling", "False", state.stalled[0])
    if state.candidate is not None and state.trouble is not None:
        message = f"revision {state.candidate.revision} does not come up: {state.trouble}"
        return Wanted("Reconciling", "True", "RevisionFailing", message)
    if state.candidate is not None:
        return Wanted("Reconciling", "True", "Promoting", f"revision {state.candidate.revision} comes up")
    if state.active is not None and (state.rollout is None or state.rollout.ready_replicas == 0):
        return Wanted("Reconciling", "True", "Starting", f"revision {state.active.revision} starts")
    return Wanted("Reconciling", "False", "Settled")


def stalled(state: "Pass") -> Wanted:
    """Whether a person must act before anything can serve."""
    if state.stalled:
        return Wanted("Stalled", "True", *state.stalled)
    return Wanted("Stalled", "False", "Settled")


def rejected(state: "Pass") -> Wanted:
    """The last student that was offered, if it was not taken."""
    last = state.history[-1] if state.history else None
    if last is None or last.outcome == "Promoted":
        return Wanted("CandidateRejected", "False", "None")
    return Wanted("CandidateRejected", "True", last.reason, f"student of job {last.job}: {last.message}")
