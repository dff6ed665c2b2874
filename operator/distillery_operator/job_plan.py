"""What to do next for a DistillationJob: a pure function of its spec, its status and its children."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from distillery_api.distillationjob import STAGES, DistillationJobSpec
from distillery_api.distillationjob_status import (
    Artifacts,
    DistillationJobStatus,
    Progress,
    Resolved,
    StageStatus,
    VerdictStatus,
)
from distillery_api.distilledmodel import DistilledModelSpec, RevisionStatus
from distillery_api.run import ArtifactRef, JobRef
from distillery_api.summary import Failure, Summary

from .attempts import Attempt, is_attempt, observe_attempt
from .job_conditions import job_conditions
from .names import BATCH_JOB, stage_job
from .plans import Create, Draft, Note, Plan, seconds_between
from .resolve import resolve
from .settings import Settings
from .stage_manifests import build_run, build_stage_job
from .store import Object

POD_PATIENCE = 20.0  # seconds in which a Job's first pod should appear
ATTEMPTS = 5  # of one stage: a lost result, or an incumbent that changed while the student was evaluated


@dataclass(frozen=True)
class ModelView:
    """The DistilledModel that the job promotes to."""

    spec: DistilledModelSpec
    active: RevisionStatus | None


@dataclass(frozen=True)
class JobView:
    """A DistillationJob and everything the plan may look at."""

    ref: JobRef
    owner: Mapping[str, object]  # the ownerReference for children
    generation: int
    spec: DistillationJobSpec
    status: DistillationJobStatus
    jobs: Sequence[Object]
    pods: Sequence[Object]
    refused: Mapping[str, Failure] = field(default_factory=dict)  # children that the API server would not have
    model: ModelView | None = None
    progress: Mapping[str, Progress] = field(default_factory=dict)  # by Job name


@dataclass(frozen=True)
class Ended:
    """The run is over."""

    failure: Failure | None = None


@dataclass
class Pass:
    """The state of one pass over a job: starts from the held status, ends as the new one."""

    view: JobView
    settings: Settings
    now: str
    resolved: Resolved
    draft: Draft = field(default_factory=Draft)
    stages: dict[str, StageStatus] = field(default_factory=dict)
    made: Artifacts = field(default_factory=Artifacts)
    verdict: VerdictStatus | None = None
    ended: Ended | None = None
    waiting: tuple[str, str] | None = None
    requeue_after: float | None = None


def plan_job(view: JobView, settings: Settings, now: str) -> Plan:
    """One pass. `now` is RFC 3339. A terminal job is left as it is, whatever became of its children."""
    held = view.status
    if held.finished_at:
        return Plan(status=held.dump())
    if held.resolved is None:
        # The snapshot is stored before the first child exists; the children come with the next pass.
        resolved = resolve(view.spec, view.model.spec if view.model else None, settings)
        state = Pass(view, settings, now, resolved, stages=initial_stages())
        return finished_plan(state)
    state = Pass(
        view, settings, now, held.resolved,
        stages={stage.name: stage for stage in held.stages} or initial_stages(),
        made=held.artifacts or Artifacts(), verdict=held.verdict,
    )  # fmt: skip
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


def advance(state: Pass, stage: str) -> None:
    """Move one stage on by what is observed of it."""
    held = state.stages[stage]
    if stage == "label" and held.attempt == 0 and state.made.labelled_rows is None and nothing_to_label(state):
        skip_label(state)
        return
    attempt = observed(state, stage, max(held.attempt, 1))
    if attempt is None and held.attempt == 0:
        start(state, stage, 1)
    elif attempt is None:
        again(state, stage, f"Job of attempt {held.attempt} was deleted before its result was stored")
    elif attempt.outcome == "Failed":
        fail(state, stage, attempt.failure or Failure(reason="JobFailed", message="the Job failed"), attempt)
    elif attempt.outcome == "Complete":
        take_result(state, stage, attempt)
    else:
        running(state, stage, attempt)


def nothing_to_label(state: Pass) -> bool:
    """Whether preflight found stored soft labels for every row."""
    rows = state.made.rows or {}
    return rows.get("missing") == 0


def skip_label(state: Pass) -> None:
    """Every row has its soft labels already: no Job, no teacher."""
    rows = state.made.rows or {}
    reused = rows.get("train", 0) + rows.get("unlabelled", 0)
    state.made = state.made.model_copy(update={"labelled_rows": 0, "reused_rows": reused})
    message = "every row already has soft labels of this teacher"
    state.stages["label"] = StageStatus(name="label", state="Skipped", finished_at=state.now, message=message)
    state.draft.notes.append(Note("Normal", "LabelSkipped", message))


def observed(state: Pass, stage: str, number: int) -> Attempt | None:
    """The attempt's Job as it is, or None when there is none."""
    name = stage_job(state.view.ref.name, state.view.ref.uid, stage, number)
    job = next((job for job in state.view.jobs if job["metadata"]["name"] == name), None)
    if job is None:
        return None
    return observe_attempt(job, [pod for pod in state.view.pods if is_attempt(pod, stage, number)])


def start(state: Pass, stage: str, number: int) -> None:
    """Create the Job of an attempt."""
    name = stage_job(state.view.ref.name, state.view.ref.uid, stage, number)
    if name in state.view.refused:
        fail(state, stage, state.view.refused[name], None)
        return
    run = build_run(
        stage,
        number,
        state.view.ref,
        state.view.spec,
        state.resolved,
        state.made,
        incumbent_of(state.view.model),
    )
    body = build_stage_job(run, state.view.spec, state.resolved, state.settings, dict(state.view.owner))
    state.draft.actions.append(Create(BATCH_JOB, body))
    state.stages[stage] = StageStatus(name=stage, state="Pending", attempt=number, job_name=name)  # type: ignore[arg-type]


def again(state: Pass, stage: str, why: str) -> None:
    """Start the next attempt, which re-emits what is published, unless there were too many."""
    number = state.stages[stage].attempt + 1
    if number > ATTEMPTS:
        fail(
            state,
            stage,
            Failure(reason="AttemptsExhausted", message=f"{why}; {ATTEMPTS} attempts were made"),
            None,
        )
        return
    state.draft.notes.append(Note("Warning", "StageRepeated", f"{stage}: {why}; attempt {number} starts"))
    start(state, stage, number)


def running(state: Pass, stage: str, attempt: Attempt) -> None:
    """Show how far it is, or why it waits."""
    held = state.stages[stage]
    progress = expected(state, stage, state.view.progress.get(attempt.name)) or held.progress
    state.waiting = attempt.waiting or podless(state, attempt)
    state.stages[stage] = held.model_copy(
        update={
            "state": "Running" if attempt.active or held.state == "Running" else "Pending",
            "attempt": max(held.attempt, 1), "job_name": attempt.name, "job_uid": attempt.uid,
            "started_at": attempt.started_at, "progress": progress,
            "message": f"{state.waiting[0]}: {state.waiting[1]}"[:1024] if state.waiting else None,
        }
    )  # fmt: skip


def podless(state: Pass, attempt: Attempt) -> tuple[str, str] | None:
    """Quota, Pod Security or a missing ServiceAccount keep a Job without pods: its own events say which."""
    if attempt.pods:
        return None
    if seconds_between(attempt.created_at, state.now) < POD_PATIENCE:
        state.requeue_after = POD_PATIENCE
        return None
    return "NoPod", f"Kubernetes makes no pod for it; the reason stands in: kubectl describe job {attempt.name}"


def expected(state: Pass, stage: str, progress: Progress | None) -> Progress | None:
    """Progress of all of the stage: pods that have not begun yet report nothing."""
    missing = (state.made.rows or {}).get("missing", 0)
    if progress is None or stage != "label" or progress.total >= missing:
        return progress
    left = missing - progress.done
    eta = round(left / progress.rate_per_second) if progress.rate_per_second else None
    return progress.model_copy(update={"total": missing, "eta_seconds": eta})


def fail(state: Pass, stage: str, failure: Failure, attempt: Attempt | None) -> None:
    """End the run with the stage's failure."""
    state.ended = Ended(failure)
    state.stages[stage] = state.stages[stage].model_copy(
        update={
            "state": "Failed", "finished_at": (attempt.finished_at if attempt else None) or state.now,
            "message": failure.message, "progress": None,
        }
    )  # fmt: skip


def take_result(state: Pass, stage: str, attempt: Attempt) -> None:
    """Store what a finished stage says; without a readable word from every pod it runs again."""
    expected = state.view.spec.soft_labels.shards if stage == "label" else 1
    summaries = [attempt.results[i] for i in sorted(attempt.results) if attempt.results[i].stage == stage]
    if len(summaries) < expected:
        again(
            state,
            stage,
            f"{len(summaries)} of {expected} pods of attempt {state.stages[stage].attempt} left a result",
        )
        return
    refused = keep(state, stage, summaries, attempt)
    if refused is not None:
        if refused.reason == "IncumbentChanged":
            again(state, stage, refused.message)
        else:
            fail(state, stage, refused, attempt)
        return
    held = state.stages[stage]
    state.stages[stage] = held.model_copy(
        update={
            "state": "Done", "attempt": max(held.attempt, 1), "job_name": attempt.name, "job_uid": attempt.uid,
            "started_at": attempt.started_at, "finished_at": attempt.finished_at or state.now,
            "image_id": attempt.image_id, "progress": None, "message": None,
        }
    )  # fmt: skip
    if stage == "evaluate":
        state.ended = Ended(gate_failure(state.verdict))


def keep(state: Pass, stage: str, summaries: list[Summary], attempt: Attempt) -> Failure | None:
    """Copy the stage's result into the status; returns why it is refused, if it is."""
    first = summaries[0]
    update: dict[str, object] = {}
    if first.preflight:
        found = first.preflight
        update = {
            "teacher_digest": found.teacher_digest, "labels_key": found.labels_key, "student_key": found.student_key,
            "rows": {**found.rows, "missing": found.missing_rows},
        }  # fmt: skip
    elif first.label:
        shards = [summary.label for summary in summaries if summary.label]
        update = {
            "labelled_rows": sum(shard.labelled_rows for shard in shards),
            "reused_rows": sum(shard.reused_rows for shard in shards),
        }
    elif first.train:
        update = {"student": first.train.student}
    elif first.compress:
        made = first.compress
        update = {
            "artifact_uri": made.artifact_uri,
            "artifact_digest": made.artifact_digest,
            "interface": made.interface,
        }
    elif first.evaluate:
        refused = refusal(state, first.evaluate, attempt)
        # A verdict that does not count must not stand anywhere: models promote by it.
        state.verdict = first.evaluate if refused is None else None
        return refused
    else:
        return Failure(reason="ResultUnreadable", message=f"the {stage} stage ended without its result")
    state.made = state.made.model_copy(update=update)
    return None


def refusal(state: Pass, verdict: VerdictStatus, attempt: Attempt) -> Failure | None:
    """Why a verdict does not count: another image, artifact, gate or incumbent than this run's."""
    if attempt.image != state.resolved.images.evaluate:
        return Failure(
            reason="VerdictUntrusted",
            message=f"the verdict comes from image {attempt.image}, not the chart's",
        )
    if verdict.gate_hash != state.resolved.gate_hash or verdict.artifact_digest != state.made.artifact_digest:
        return Failure(reason="VerdictUntrusted", message="the verdict is about another artifact or another gate")
    incumbent = incumbent_of(state.view.model)
    if verdict.result == "Pass" and verdict.incumbent_digest != (incumbent.digest if incumbent else None):
        return Failure(reason="IncumbentChanged", message="another student began to serve while this one was evaluated")
    return None


def gate_failure(verdict: VerdictStatus | None) -> Failure | None:
    """The gate's refusal as a failure; None for a Pass."""
    if verdict is None or verdict.result == "Pass":
        return None
    deciding = next((c for c in verdict.criteria if c.verdict == verdict.result), None)
    names = {"retention": "RetentionBelowThreshold", "incumbent": "WorseThanIncumbent"}
    if verdict.result == "Inconclusive":
        reason = "Inconclusive"
    else:
        reason = names.get(deciding.name, "GateFailed") if deciding else "GateFailed"
    return Failure(reason=reason, message=deciding.message if deciding else f"the gate says {verdict.result}")


def incumbent_of(model: ModelView | None) -> ArtifactRef | None:
    """What serves now."""
    if model is None or model.active is None:
        return None
    return ArtifactRef(uri=model.active.uri, digest=model.active.digest)


def finished_plan(state: Pass) -> Plan:
    """The plan, with the whole status."""
    view, held = state.view, state.view.status
    over = state.ended is not None
    if over:
        state.draft.notes.append(ending(state))
    status = DistillationJobStatus(
        observed_generation=view.generation,
        conditions=job_conditions(state, held.conditions),
        stages=[state.stages[name] for name in STAGES],
        artifacts=state.made if state.made != Artifacts() else None,
        verdict=state.verdict,
        resolved=state.resolved,
        started_at=held.started_at or state.now,
        finished_at=state.now if over else None,
    )
    return Plan(
        status=status.dump(), actions=tuple(state.draft.actions), notes=tuple(state.draft.notes),
        requeue_after=state.requeue_after,
    )  # fmt: skip


def ending(state: Pass) -> Note:
    """The event that closes the run."""
    failure = state.ended.failure if state.ended else None
    if failure:
        return Note("Warning", failure.reason, failure.message)
    deciding = state.verdict.criteria[0].message if state.verdict and state.verdict.criteria else ""
    return Note("Normal", "Passed", deciding or "the student passed its gate")
