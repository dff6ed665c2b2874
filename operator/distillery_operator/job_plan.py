"""What to do next for a DistillationJob: a pure function of its spec, its status and its children."""

from distillery_api.distillationjob import STAGES
from distillery_api.distillationjob_status import (
    Artifacts,
    DistillationJobStatus,
    Retries,
    StageStatus,
)
from distillery_api.schema import Failure

from .attempts import Attempt, is_attempt, observe_attempt
from .job_conditions import job_conditions
from .job_limits import gpus_used_up, memory_failure, metered
from .job_pass import NOT_CREATED, Ended, JobView, Pass
from .job_results import gate_failure, keep
from .job_running import POD_PATIENCE, SUSPENDED, cannot_judge, deletion, running, waits_for_model
from .names import ATTEMPT, BATCH_JOB, SERVICE, STAGE, stage_job
from .plans import Apply, Create, Note, Plan, seconds_between
from .pod_groups import pods_of, train_service, train_service_name
from .resolve import other_metric, resolve
from .settings import Settings
from .stage_manifests import build_run, build_stage_job

LOST_LIMIT = 4  # repetitions of one stage for lost results, or incumbents that changed while it was evaluated
RETRIED = {"OutOfMemory": "out_of_memory", "ImageUnavailable": "image"}  # infrastructure is retried within a Job


def plan_job(view: JobView, settings: Settings, now: str) -> Plan:
    """One pass. `now` is RFC 3339. A terminal job is left as it is, whatever became of its children."""
    held = view.status
    if held.finished_at:
        return tidied(view, held.finished_at, now)
    state = Pass(
        view, settings, now, held.resolved,
        stages={stage.name: stage for stage in held.stages} or initial_stages(),
        made=held.artifacts or Artifacts(), verdict=held.verdict,
    )  # fmt: skip
    if held.resolved is None:
        if view.spec.suspend or waits_for_model(state):
            return finished_plan(state)
        model = view.model.spec if view.model else None
        state.resolved = resolve(view.spec, model, settings)
        if refused := other_metric(view.spec, model):
            fail(state, "preflight", refused)
            return finished_plan(state)
    for stage in STAGES:
        if state.stages[stage].state in ("Done", "Skipped"):
            continue
        advance(state, stage)
        if state.ended or state.stages[stage].state not in ("Done", "Skipped"):
            break
    return finished_plan(state)


def initial_stages() -> dict[str, StageStatus]:
    """Every stage, not begun."""
    return {name: StageStatus(name=name, state="Pending") for name in STAGES}  # type: ignore[arg-type]


def tidied(view: JobView, finished_at: str, now: str) -> Plan:
    """A finished job: its status stands, its Jobs go when their time to live is over."""
    # Its switches may still be edited: an object whose generation nobody observed would look unfinished for ever.
    status = view.status.model_copy(update={"observed_generation": view.generation}).dump()
    ttl = view.spec.ttl_seconds_after_finished
    if ttl is None or not view.jobs:
        return Plan(status=status)
    left = ttl - seconds_between(finished_at, now)
    if left > 0:
        return Plan(status=status, requeue_after=left)
    jobs = [job["metadata"] for job in view.jobs if "deletionTimestamp" not in job["metadata"]]
    return Plan(status=status, actions=tuple(deletion(job["namespace"], job["name"], job["uid"]) for job in jobs))


def advance(state: Pass, stage: str) -> None:
    """Move one stage on by what is observed of it."""
    held = state.stages[stage]
    if stage == "label" and held.attempt == 0 and state.made.labelled_rows is None and nothing_to_label(state):
        skip_label(state)
        return
    number = newest(state, stage, held.attempt)
    if number > held.attempt:
        held = state.stages[stage] = taken_up(held, number)
    attempt = observed(state, stage, number)
    state.stages[stage] = metered(held, state.pods_of(stage).gpus, attempt, state.now)
    if cannot_judge(state, stage, attempt):
        return
    if attempt is None:
        begin(state, stage)
    elif attempt.outcome == "Failed":
        stopped(state, stage, why_failed(state, stage, attempt), attempt)
    elif attempt.outcome == "Complete":
        take_result(state, stage, attempt)
    else:
        running(state, stage, attempt)


def newest(state: Pass, stage: str, told: int) -> int:
    """Number of the stage's last attempt: what the status tells, or a later one whose Job exists."""
    labels = [job["metadata"].get("labels", {}) for job in state.view.jobs]
    return max([told, *(int(each[ATTEMPT]) for each in labels if each.get(STAGE) == stage)])


def taken_up(held: StageStatus, number: int) -> StageStatus:
    """The stage at an attempt that was created before the operator died, or lost the object: the status missed it."""
    kind = RETRIED.get(held.ending.reason) if held.ending else None
    stage = counted(held, kind) if kind else held
    return stage.model_copy(update={"attempt": number, "ending": None, "job_uid": None})


def nothing_to_label(state: Pass) -> bool:
    """Whether preflight found stored soft labels for every row, and the grade of each that a judge is to give."""
    rows = state.made.rows or {}
    return rows.get("missing") == 0 and not rows.get("ungraded")


def skip_label(state: Pass) -> None:
    """Every row has its soft labels already: no Job, no teacher."""
    rows = state.made.rows or {}
    reused = rows.get("train", 0) + rows.get("unlabelled", 0)
    state.made = state.made.model_copy(update={"labelled_rows": 0, "reused_rows": reused})
    message = "every row already has soft labels of this teacher"
    if state.made.rechecked_rows:
        message += f"; {state.made.rechecked_rows} were labelled again and agree"
    state.stages["label"] = StageStatus(name="label", state="Skipped", finished_at=state.now, message=message)
    state.draft.notes.append(Note("Normal", "LabelSkipped", message))


def observed(state: Pass, stage: str, number: int) -> Attempt | None:
    """The attempt's Job as it is, or None when there is none."""
    name = stage_job(state.view.ref.name, state.view.ref.uid, stage, number)
    job = next((job for job in state.view.jobs if job["metadata"]["name"] == name), None)
    if job is None:
        return None
    return observe_attempt(job, [pod for pod in state.view.pods if is_attempt(pod, stage, number)])


def begin(state: Pass, stage: str) -> None:
    """There is no Job: the stage has not begun, was stopped by us, or lost its Job."""
    held = state.stages[stage]
    if held.ending and held.ending != SUSPENDED:
        stopped(state, stage, held.ending, None)
    elif state.view.spec.suspend:
        state.change(stage, state="Suspended" if held.attempt else "Pending", ending=None, progress=None, message=None)
    elif held.attempt == 0:
        start(state, stage)
    elif held.ending or held.state == "Suspended":
        state.draft.notes.append(Note("Normal", "Resumed", f"{stage}: attempt {held.attempt + 1} starts"))
        start(state, stage)
    elif held.job_uid is None and held.job_name != state.view.created:
        start(state, stage, held.attempt)  # told, then not created: the operator died, or Kubernetes refused for now
    else:
        again(state, stage, f"Job of attempt {held.attempt} was deleted before its result was stored")


def start(state: Pass, stage: str, number: int | None = None) -> None:
    """Tell of the next attempt, or one of that number, and create its Job."""
    held, view = state.stages[stage], state.view
    number = number or held.attempt + 1
    name = stage_job(view.ref.name, view.ref.uid, stage, number)
    children = [name, train_service_name(view.ref)] if stage == "train" else [name]
    refused = next((view.refused[child] for child in children if child in view.refused), None)
    if refused and refused.reason != NOT_CREATED:
        fail(state, stage, refused)
        return
    if state.pods_of(stage).gpus and (used_up := gpus_used_up(state)):
        fail(state, stage, used_up)
        return
    run = build_run(stage, number, view.ref, view.spec, state.snapshot, state.made, state.incumbent())
    used = held.retries.infrastructure if held.retries else 0
    body = build_stage_job(run, view.spec, state.snapshot, state.settings, dict(view.owner), used)
    if stage == "train" and view.spec.training.nodes > 1:
        state.draft.actions.append(Apply(SERVICE, train_service(view.ref, dict(view.owner))))
    # The first attempt's name alone keeps it from being created twice.
    state.draft.jobs.append(Create(BATCH_JOB, body, repeats=number > 1))
    if refused:
        state.waiting = (refused.reason, refused.message)
    # Should nothing else happen to it: no pod, or none that starts.
    state.wake(min(POD_PATIENCE, state.pods_of(stage).pending_deadline_seconds or POD_PATIENCE))
    state.change(
        stage, state="Pending", attempt=number, job_name=name, job_uid=None, started_at=None, progress=None,
        ending=None, message=None,
    )  # fmt: skip


def counted(held: StageStatus, kind: str) -> StageStatus:
    """The stage with one more repetition of that kind."""
    retries = held.retries or Retries()
    return held.model_copy(update={"retries": retries.model_copy(update={kind: getattr(retries, kind) + 1})})


def again(state: Pass, stage: str, why: str) -> None:
    """Start the next attempt, which re-emits what is published, unless there were too many."""
    held = state.stages[stage]
    if held.retries and held.retries.lost >= LOST_LIMIT:
        message = f"{why}; the stage was repeated {LOST_LIMIT} times for such reasons"
        fail(state, stage, Failure(reason="AttemptsExhausted", message=message))
        return
    state.stages[stage] = counted(held, "lost")
    state.draft.notes.append(Note("Warning", "StageRepeated", f"{stage}: {why}; attempt {held.attempt + 1} starts"))
    start(state, stage)


def why_failed(state: Pass, stage: str, attempt: Attempt) -> Failure:
    """Why the Job failed: what we stopped it for, the limit where that is memory, else its own words."""
    ending = state.stages[stage].ending
    if ending and ending != SUSPENDED:
        return ending
    if attempt.out_of_memory:
        return memory_failure(state.pods_of(stage), stage)
    return attempt.failure or Failure(reason="JobFailed", message="the Job failed")


def stopped(state: Pass, stage: str, failure: Failure, attempt: Attempt | None) -> None:
    """An attempt has ended without a result: another one, where its kind of failure has retries left."""
    held, budget = state.stages[stage], state.pods_of(stage).retries
    kind = RETRIED.get(failure.reason)
    if kind is None:
        fail(state, stage, failure, attempt)
        return
    used, allowed = getattr(held.retries or Retries(), kind), getattr(budget, kind)
    if used >= allowed:
        spent = f"{failure.message}; {used} of {allowed} retries are used" if allowed else failure.message
        fail(state, stage, Failure(reason=failure.reason, message=spent[:1024]), attempt)
        return
    if state.view.spec.suspend:  # counted when it goes on
        state.change(stage, state="Suspended", progress=None, message=failure.message)
        return
    state.stages[stage] = counted(held, kind)
    words = f"{stage}: {failure.message}; attempt {held.attempt + 1} starts"
    state.draft.notes.append(Note("Warning", "StageRetried", words))
    start(state, stage)


def fail(state: Pass, stage: str, failure: Failure, attempt: Attempt | None = None) -> None:
    """End the run with the stage's failure."""
    state.ended = Ended(failure)
    state.change(
        stage, state="Failed", finished_at=(attempt.finished_at if attempt else None) or state.now,
        message=failure.message, progress=None, ending=None,
    )  # fmt: skip


def take_result(state: Pass, stage: str, attempt: Attempt) -> None:
    """Store what a finished stage says; without a readable word from every pod it runs again."""
    expected = pods_of(state.view.spec, stage)
    summaries = [attempt.results[i] for i in sorted(attempt.results) if attempt.results[i].stage == stage]
    if len(summaries) < expected:
        number = state.stages[stage].attempt
        repeat(state, stage, f"{len(summaries)} of {expected} pods of attempt {number} left a result")
        return
    refused = keep(state, stage, summaries, attempt)
    if refused is not None:
        if refused.reason == "IncumbentChanged":
            repeat(state, stage, refused.message)
        else:
            fail(state, stage, refused, attempt)
        return
    state.change(
        stage, state="Done", attempt=state.stages[stage].attempt, job_name=attempt.name,
        job_uid=attempt.uid, started_at=attempt.started_at, finished_at=attempt.finished_at or state.now,
        image_id=attempt.image_id, progress=None, ending=None, message=None,
    )  # fmt: skip
    if stage == "evaluate":
        state.ended = Ended(gate_failure(state.verdict, state.snapshot.gate))


def repeat(state: Pass, stage: str, why: str) -> None:
    """Run a stage again whose result does not count; a suspended job waits with that."""
    if state.view.spec.suspend:
        state.change(stage, state="Suspended", ending=None, progress=None, message=None)
    else:
        again(state, stage, why)


def finished_plan(state: Pass) -> Plan:
    """The plan, with the whole status."""
    view, held = state.view, state.view.status
    over = state.ended is not None
    if over:
        state.draft.notes.append(ending_note(state))
    status = DistillationJobStatus(
        observed_generation=view.generation,
        conditions=job_conditions(state, held.conditions),
        stages=[state.stages[name] for name in STAGES],
        artifacts=state.made if state.made != Artifacts() else None,
        verdict=state.verdict,
        resolved=state.resolved,
        started_at=held.started_at or (state.now if state.resolved else None),
        finished_at=state.now if over else None,
    )
    return Plan(
        status=status.dump(), actions=tuple(state.draft.actions), notes=tuple(state.draft.notes),
        jobs=tuple(state.draft.jobs), requeue_after=state.requeue_after,
    )  # fmt: skip


def ending_note(state: Pass) -> Note:
    """The event that closes the run."""
    failure = state.ended.failure if state.ended else None
    if failure:
        return Note("Warning", failure.reason, failure.message)
    deciding = state.verdict.criteria[0].message if state.verdict and state.verdict.criteria else ""
    return Note("Normal", "Passed", deciding or "the student passed its gate")
