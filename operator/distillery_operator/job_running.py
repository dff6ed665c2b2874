"""A stage that runs: how far it is, why it waits, and when it must stop."""

from distillery_api.distillationjob_status import Progress, Retries
from distillery_api.schema import Failure

from .attempts import Attempt
from .job_limits import due, overrun
from .job_pass import Pass
from .names import BATCH_JOB
from .plans import Delete, Note

POD_PATIENCE = 20.0  # seconds in which a Job's first pod should appear
SUSPENDED = Failure(reason="Suspended", message="spec.suspend is set")


def deletion(namespace: str, name: str, uid: str) -> Delete:
    """Deletes a Job; it stays until its pods are gone, so that no two attempts run at once."""
    return Delete(BATCH_JOB, namespace, name, uid, foreground=True)


def running(state: Pass, stage: str, attempt: Attempt) -> None:
    """Show how far it is, or why it waits; stop it where it must not go on."""
    held = state.stages[stage]
    if held.ending == SUSPENDED and not state.view.spec.suspend and not attempt.leaving:
        held = held.model_copy(update={"ending": None})  # resumed before it was stopped
    ending = held.ending or reason_to_stop(state, stage, attempt)
    if held.ending and not attempt.leaving:
        # Why it ends is stored by now: nobody will take the missing Job for one that was lost.
        state.draft.actions.append(deletion(state.view.ref.namespace, attempt.name, attempt.uid))
    if ending and not held.ending and ending != SUSPENDED:
        state.draft.notes.append(Note("Warning", ending.reason, f"{stage}: {ending.message}"))
    progress = expected(state, stage, state.view.progress.get(attempt.name)) or held.progress
    state.waiting = hindrance(state, attempt, ending)
    began = attempt.running > 0 or held.state == "Running"
    state.change(
        stage, state="Running" if began and not attempt.suspended else "Pending", attempt=held.attempt,
        job_name=attempt.name, progress=progress, ending=ending, retries=with_crashes(state, stage, attempt),
        # Told with the first pod that runs or with why there is none, not before: alone it would be a write.
        job_uid=attempt.uid if began or state.waiting else held.job_uid,
        started_at=attempt.started_at if began else held.started_at,
        message=f"{state.waiting[0]}: {state.waiting[1]}"[:1024] if state.waiting else None,
    )  # fmt: skip


def waits_for_model(state: Pass) -> bool:
    """Whether the model is there and cannot be read: its gate and its incumbent must not be taken for missing."""
    target, why = state.view.spec.promote_to, state.view.model_unreadable
    if target is None or why is None:
        return False
    fix = "run helm upgrade, so that CRDs and operator are of one version"
    state.waiting = "ModelUnreadable", f"DistilledModel {target.name} cannot be read: {why}; {fix}"
    return True


def cannot_judge(state: Pass, stage: str, attempt: Attempt | None) -> bool:
    """Whether the stage waits for the model, before it starts or with a result: a verdict is against what serves."""
    idle = attempt.outcome != "Running" if attempt else not state.view.spec.suspend
    return stage == "evaluate" and idle and waits_for_model(state)


def reason_to_stop(state: Pass, stage: str, attempt: Attempt) -> Failure | None:
    """Why the attempt must end now."""
    if attempt.leaving:
        return None
    if state.view.spec.suspend:
        return SUSPENDED
    return overrun(state, stage, attempt)


def with_crashes(state: Pass, stage: str, attempt: Attempt) -> Retries | None:
    """Repetitions, with the pods that crashed: the Job's own limit says how many earlier attempts had used."""
    held = state.stages[stage].retries
    earlier = state.pods_of(stage).retries.infrastructure - attempt.backoff_limit
    crashes = max(earlier + attempt.crashed, held.infrastructure if held else 0)
    return (held or Retries()).model_copy(update={"infrastructure": crashes}) if crashes > 0 else held


def hindrance(state: Pass, attempt: Attempt, ending: Failure | None) -> tuple[str, str] | None:
    """Why the attempt makes no progress, as reason and message."""
    if ending:
        return "Stopping", ending.message
    if attempt.suspended:
        return queued(state, attempt)
    return attempt.waiting or podless(state, attempt)


def queued(state: Pass, attempt: Attempt) -> tuple[str, str]:
    """A queue holds the Job back."""
    if attempt.queue is None:
        fix = "apply the job under another name with spec.queueName"
        return "Queued", f"Job {attempt.name} is suspended and names no LocalQueue that could admit it; {fix}"
    words = state.view.words.queue.get(attempt.name, "see: kubectl get workloads")
    return "Queued", f"LocalQueue {attempt.queue} has not admitted Job {attempt.name}: {words}"


def podless(state: Pass, attempt: Attempt) -> tuple[str, str] | None:
    """Quota, Pod Security or a missing ServiceAccount keep a Job without pods: its controller says which."""
    if attempt.pods or attempt.leaving or not due(state, attempt.released_at, POD_PATIENCE):
        return None
    # The Job controller may forget a Job whose name another one had a moment before (kubernetes/kubernetes#131917).
    silence = f"see: kubectl describe job {attempt.name}; if it tells of no trouble, kubectl delete job {attempt.name}"
    words = state.view.words.pods.get(attempt.name, f"{silence}, and the operator makes it anew")
    return "NoPod", f"Kubernetes makes no pod for it: {words}"


def expected(state: Pass, stage: str, progress: Progress | None) -> Progress | None:
    """Progress of all of the stage: pods that have not begun yet report nothing."""
    missing = (state.made.rows or {}).get("missing", 0)
    if progress is None or stage != "label" or progress.total >= missing:
        return progress
    left = missing - progress.done
    eta = round(left / progress.rate_per_second) if progress.rate_per_second else None
    return progress.model_copy(update={"total": missing, "eta_seconds": eta})
