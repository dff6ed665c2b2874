"""What a running stage may use up: time to start, time to run, memory, patience with an image, GPU-seconds."""

from distillery_api.distillationjob import STAGES
from distillery_api.distillationjob_status import StageStatus
from distillery_api.pods import EvaluateStage
from distillery_api.schema import Failure

from .attempts import Attempt
from .job_pass import Pass
from .plans import seconds_between

IMAGE_PATIENCE = 300.0  # seconds that a pod may wait for its image


def overrun(state: Pass, stage: str, attempt: Attempt) -> Failure | None:
    """Why the running attempt has to stop now; otherwise asks for a pass when it would."""
    return (
        out_of_memory(state, stage, attempt)
        or image_unavailable(state, stage, attempt)
        or pending_too_long(state, stage, attempt)
        or active_too_long(state, stage, attempt)
        or gpus_used_up(state)
    )


def out_of_memory(state: Pass, stage: str, attempt: Attempt) -> Failure | None:
    """A pod was killed for its memory: the Job's own retries would only repeat that."""
    return memory_failure(state.pods_of(stage), stage) if attempt.out_of_memory else None


def memory_failure(pods: EvaluateStage, stage: str) -> Failure:
    """Names the limit to raise."""
    limits = pods.resources.limits if pods.resources else {}
    held = f"is {limits['memory']}" if "memory" in limits else "is not set: its node or namespace set one"
    return Failure(
        reason="OutOfMemory",
        message=f"a pod ran out of memory; raise stages.{stage}.resources.limits.memory, which {held}",
    )


def image_unavailable(state: Pass, stage: str, attempt: Attempt) -> Failure | None:
    """A pod has waited too long for its image, or never can have it."""
    if attempt.waiting is None or not attempt.waits_for_image:
        return None
    if not due(state, attempt.waiting_since, IMAGE_PATIENCE):
        return None
    fix = f"correct stages.{stage}.image or the registry's access" if stage != "evaluate" else "see the chart's images"
    words = f"{attempt.waiting[0]}: {attempt.waiting[1]}"
    return Failure(reason="ImageUnavailable", message=f"no image after {IMAGE_PATIENCE:.0f} s; {fix}: {words}"[:1024])


def pending_too_long(state: Pass, stage: str, attempt: Attempt) -> Failure | None:
    """No pod has begun within the stage's pending deadline."""
    limit = state.pods_of(stage).pending_deadline_seconds
    if limit is None or attempt.suspended or attempt.running_since is not None:
        return None
    if not due(state, attempt.released_at, limit):
        return None
    words = f": {attempt.waiting[1]}" if attempt.waiting else ""
    return Failure(
        reason="PendingDeadlineExceeded",
        message=f"no pod ran within stages.{stage}.pendingDeadlineSeconds ({limit} s){words}"[:1024],
    )


def active_too_long(state: Pass, stage: str, attempt: Attempt) -> Failure | None:
    """The attempt has run longer than the stage's active deadline."""
    limit = state.pods_of(stage).active_deadline_seconds
    if limit is None or attempt.suspended or attempt.running_since is None:
        return None
    # A pod that crashed before a queue took the Job back says nothing about this run.
    if not due(state, max(attempt.running_since, attempt.released_at or state.now), limit):
        return None
    return Failure(
        reason="ActiveDeadlineExceeded",
        message=f"the stage ran longer than stages.{stage}.activeDeadlineSeconds ({limit} s); what it made is kept:"
        " a job with a higher deadline goes on from there",
    )


def due(state: Pass, since: str | None, limit: float) -> bool:
    """Whether so many seconds have passed; if not, asks for a pass when they have."""
    left = limit - seconds_between(since, state.now) if since else limit
    if left > 0:
        state.wake(left)
    return left <= 0


def gpus_used_up(state: Pass) -> Failure | None:
    """The run's GPU-seconds have reached their limit."""
    if state.view.spec.limits is None:
        return None
    limit, used = state.view.spec.limits.gpu_seconds, 0.0
    for stage in state.stages.values():
        running = stage.gpus_in_use or 0
        used += (stage.gpu_seconds or 0.0) + running * since(stage.gpus_since, state.now)
        if running and used < limit:
            state.wake((limit - used) / running)
    if used < limit:
        return None
    share = ", ".join(
        f"{name} {stage.gpu_seconds or 0:.0f}" for name in STAGES if (stage := state.stages[name]).gpus_since
    )
    return Failure(
        reason="GpuSecondsUsedUp",
        message=f"limits.gpuSeconds ({limit}) is used up ({share}); what was paid for is kept: raise the limit in"
        " another job with the same inputs, and it goes on from there",
    )


def metered(held: StageStatus, gpus: int, attempt: Attempt | None, now: str) -> StageStatus:
    """The stage with its GPU meter at what runs now. It is written when the number of GPUs in use changes.

    gpu_seconds counts up to gpus_since; from then on gpus_in_use run.
    """
    in_use = gpus * (attempt.running if attempt else 0)
    if in_use == (held.gpus_in_use or 0):
        return held
    changed = changed_at(held, attempt, in_use, now)
    spent = (held.gpu_seconds or 0.0) + (held.gpus_in_use or 0) * since(held.gpus_since, changed)
    return held.model_copy(update={"gpu_seconds": round(spent, 1), "gpus_in_use": in_use, "gpus_since": changed})


def changed_at(held: StageStatus, attempt: Attempt | None, in_use: int, now: str) -> str:
    """When the number of GPUs in use changed: by the pods' own times where they tell, else now."""
    if attempt is None:
        return now
    seen = attempt.last_start if in_use > (held.gpus_in_use or 0) else attempt.last_end
    return max(held.gpus_since or "", min(seen or now, now))


def since(then: str | None, now: str) -> float:
    """Seconds between the times, never negative; 0 where there is no beginning."""
    return max(0.0, seconds_between(then, now)) if then else 0.0
