"""Conditions of a DistillationJob: what kstatus, Argo CD and people read."""

from collections.abc import Sequence

from distillery_api.distillationjob import STAGES
from distillery_api.distillationjob_status import StageStatus
from distillery_api.schema import Condition

from .conditions import Wanted, merged
from .job_pass import Pass

STAGE_CONDITIONS = {
    "preflight": "Validated",
    "label": "Labelled",
    "train": "Trained",
    "compress": "Compressed",
    "evaluate": "Evaluated",
}
DOING = {
    "preflight": "Validating",
    "label": "Labelling",
    "train": "Training",
    "compress": "Compressing",
    "evaluate": "Evaluating",
}


def job_conditions(state: Pass, held: Sequence[Condition]) -> list[Condition]:
    """All conditions, each set on every pass."""
    wanted = [
        *overall(state),
        suspended(state),
        *(stage_condition(state.stages[name]) for name in STAGES),
        offered(state),
    ]
    return merged(held, wanted, state.view.generation, state.now)


def overall(state: Pass) -> list[Wanted]:
    """Ready, Reconciling, Stalled and Succeeded: never two of the middle ones True together."""
    if state.ended is None:
        reason, message = activity(state)
        busy = "False" if reason == "Suspended" else "True"
        return [
            Wanted("Ready", "Unknown", reason, message),
            Wanted("Reconciling", busy, reason, message),
            Wanted("Stalled", "False", reason),
            Wanted("Succeeded", "Unknown", reason),
        ]
    failure = state.ended.failure
    if failure is None:
        message = state.verdict.criteria[0].message if state.verdict and state.verdict.criteria else ""
        return [
            Wanted("Ready", "True", "Passed", message),
            Wanted("Reconciling", "False", "Passed"),
            Wanted("Stalled", "False", "Passed"),
            Wanted("Succeeded", "True", "Passed", message),
        ]
    return [
        Wanted("Ready", "False", failure.reason, failure.message),
        Wanted("Reconciling", "False", failure.reason),
        Wanted("Stalled", "True", failure.reason, failure.message),
        Wanted("Succeeded", "False", failure.reason, failure.message),
    ]


def activity(state: Pass) -> tuple[str, str]:
    """What is going on, or what is waited for."""
    current = next((state.stages[n] for n in STAGES if state.stages[n].state not in ("Done", "Skipped")), None)
    name = current.name if current else "evaluate"
    if state.view.spec.suspend and not state.waiting:
        return "Suspended", f"spec.suspend is set: nothing runs; the {name} stage goes on when it is false"
    if state.waiting:
        reason, words = state.waiting
        return reason, f"the {name} stage waits: {words}"
    return DOING[name], f"the {name} stage is under way"


def suspended(state: Pass) -> Wanted:
    """Whether the user or a queue holds the job back."""
    reason, message = activity(state) if state.ended is None else ("Finished", "")
    if reason in ("Suspended", "Queued"):
        return Wanted("Suspended", "True", reason, message)
    return Wanted("Suspended", "False", "Finished" if state.ended else "NotSuspended")


def stage_condition(stage: StageStatus) -> Wanted:
    """The condition of one stage."""
    kind = STAGE_CONDITIONS[stage.name]
    if stage.state == "Done":
        return Wanted(kind, "True", "Done")
    if stage.state == "Skipped":
        return Wanted(kind, "True", "Reused", stage.message or "")
    if stage.state == "Failed":
        return Wanted(kind, "False", "Failed", stage.message or "")
    if stage.attempt == 0:
        return Wanted(kind, "Unknown", "NotStarted")
    return Wanted(kind, "Unknown", stage.state, stage.message or "")


def offered(state: Pass) -> Wanted:
    """Whether there is a model to offer the student to."""
    target = state.view.spec.promote_to
    if target is None:
        return Wanted(
            "Offered",
            "False",
            "NoTarget",
            "spec.promoteTo is not set: the student is kept, and nothing serves it",
        )
    if state.view.model_unreadable:
        words = f"DistilledModel {target.name} cannot be read: {state.view.model_unreadable}"
        return Wanted("Offered", "False", "ModelUnreadable", words)
    if state.view.model is None:
        return Wanted(
            "Offered", "False", "ModelMissing",
            f"there is no DistilledModel {target.name} here; create it, and it takes a student that passes",
        )  # fmt: skip
    if state.ended is None:
        return Wanted("Offered", "Unknown", "NotDecided")
    if state.ended.failure:
        return Wanted("Offered", "False", state.ended.failure.reason)
    return Wanted("Offered", "True", "Passed", f"offered to DistilledModel {target.name}")
