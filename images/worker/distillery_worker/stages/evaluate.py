"""evaluate: teacher, incumbent, student and control on the same held-out rows, then the gate's decision."""

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from distillery_api.artifact import ArtifactManifest
from distillery_api.digests import digest_bytes, digest_files
from distillery_api.distillationjob_status import Measured, VerdictStatus
from distillery_api.gate import GateSpec
from distillery_api.run import ArtifactRef, EvaluateRun
from distillery_gate import Gate, GateError, SliceGate, Verdict, decide, items_of
from distillery_storage import NotFound, Prefix, fetch_artifact, open_prefix

from ..artifacts.records import TrainRecord, fetch_model, student_prefix
from ..context import Context
from ..data.files import Rows
from ..errors import InputRefused
from ..evaluation.latency import measure
from ..evaluation.ranking import Ranking, ranking
from ..evaluation.recorded import recorded
from ..evaluation.report import Content, Report
from ..evaluation.teacher_answers import HeldOutAnswers
from ..tasks.head import Answer, Head
from ..tasks.registry import task_of
from ..tasks.task import Task
from ..teachers.local import LocalTeacher
from ..teachers.onnx_teacher import OnnxTeacher
from ..teachers.panel import Panel, fetch_panel
from ..teachers.teacher import outputs_of
from .compress import published_record

NO_ANSWER = ""
REPORT, ITEMS = "report.json", "items.parquet"


@dataclass
class Candidate:
    """One model's answers, and the probability that it gives each: [items]"""

    answers: Sequence[Answer]
    confidences: Sequence[float] | None
    digest: str
    parameters: int | None
    p50_ms: float | None
    p99_ms: float | None


@dataclass
class Evaluation:
    """What the models are run on."""

    run: EvaluateRun
    context: Context
    task: Task[Any]
    head: Head
    test: Rows
    models: dict[str, Candidate] = field(default_factory=dict)

    def answered(self, rows: int) -> None:
        """Count rows that a model has answered. Raises Interrupted."""
        self.context.progress.advance(rows)
        self.context.check_stop("nothing of an evaluation is kept")

    def served(self, folder: str, manifest: ArtifactManifest, digest: str) -> Candidate:
        """An artifact, in the engine that serves it, by its own preprocessing and its own label names."""
        path, head = self.context.folder(folder), self.task.head_of(manifest.labels)
        engine = self.task.engine(path, manifest, self.context.threads)
        outputs = outputs_of(engine.run, engine.encoder, self.test.inputs, head.outputs, self.answered)
        latency = measure(self.task.engine(path, manifest, threads=1), self.test.inputs)
        told = head.answers(outputs), head.confidences(outputs)
        return Candidate(*told, digest, manifest.parameters, *latency)


def evaluate(run: EvaluateRun, context: Context) -> VerdictStatus:
    """Score, decide and publish; a report that this attempt has published already is the answer."""
    storage, task = open_prefix(run.storage), task_of(run)
    target = storage.child(f"evaluations/{run.job.uid}/{run.attempt}")
    if (published := read_report(target)) is not None:
        return published
    record = published_record(student_prefix(storage, run.student_key))
    manifest = fetch_artifact(run.artifact.uri, run.artifact.digest, context.folder("artifact"))
    panel = fetch_panel(run, context)
    check_origin(run, manifest, panel)
    head = task.head_of(manifest.labels)
    rows = task.load_rows(run.dataset.test, "test", run.dataset.columns, head, context.folder("data"))
    test = task.units(rows, task.encoder(context.folder("artifact"), manifest.preprocessing))
    evaluation = Evaluation(run, context, task, head, test)
    count = 1 + len(panel.in_verdict.members) + bool(record.control) + bool(run.incumbent)
    context.progress.start(len(test) * count, "answers")
    evaluation.models["student"] = evaluation.served("artifact", manifest, run.artifact.digest)
    score_teacher(evaluation, manifest, panel.in_verdict)
    score_control(evaluation, manifest, record, student_prefix(storage, run.student_key))
    score_incumbent(evaluation, run.incumbent)
    return publish(evaluation, panel, target, record, judge(evaluation))


def read_report(target: Prefix) -> VerdictStatus | None:
    """The verdict of a published report."""
    try:
        data = target.read(REPORT)
    except NotFound:
        return None
    return Report.model_validate_json(data).status(f"{target.uri}/{REPORT}", digest_bytes(data))


def check_origin(run: EvaluateRun, manifest: ArtifactManifest, panel: Panel) -> None:
    """The artifact must come from this training and these teachers."""
    made = manifest.provenance
    if made.student_key != run.student_key or made.teacher != panel.digest:
        raise InputRefused(
            "ArtifactMismatch",
            f"{run.artifact.uri} was made from student {made.student_key} and teacher {made.teacher}, not from"
            f" {run.student_key} and {panel.digest}; restore the teacher's folder or apply the job again",
        )


def score_teacher(evaluation: Evaluation, manifest: ArtifactManifest, panel: Panel) -> None:
    """What the teachers answer as one; where none gives a usable answer, an answer that is never right."""
    ask = HeldOutAnswers(evaluation.run, evaluation.context)
    outputs = panel.mixed(panel.gather(evaluation.test, ask), evaluation.test)
    answers = panel.head.answers(outputs)
    if panel.head.labels:
        for row in np.flatnonzero(np.isnan(outputs).any(axis=1)):
            answers[row] = NO_ANSWER
    latency = teacher_latency(evaluation, manifest, panel)
    told = answers, panel.head.confidences(outputs)
    evaluation.models["teacher"] = Candidate(*told, panel.digest, panel.parameters(), *latency)


def teacher_latency(
    evaluation: Evaluation, manifest: ArtifactManifest, panel: Panel
) -> tuple[float, float] | tuple[None, None]:
    """That of one teacher with weights, in the student's engine; of others there is none to compare."""
    teacher = panel.members[0].teacher
    if len(panel.members) > 1 or not isinstance(teacher, LocalTeacher) or isinstance(teacher, OnnxTeacher):
        return None, None
    scratch = evaluation.context.folder("teacher-in-engine")
    engine = evaluation.task.in_engine(teacher.model, teacher.path, manifest, scratch)
    return measure(engine, evaluation.test.inputs)


def score_control(evaluation: Evaluation, manifest: ArtifactManifest, record: TrainRecord, student: Prefix) -> None:
    """The control in torch, if the job trained one; its latency in the student's engine."""
    if record.control is None:
        return
    folder = fetch_model(student, record.control, evaluation.context.folder("control"))
    model, head = evaluation.task.load_student(folder), evaluation.task.head_of(record.labels)
    task, test = evaluation.task, evaluation.test.inputs
    encoder = task.encoder(folder, record.preprocessing)
    outputs = outputs_of(lambda batch: task.predict(model, batch), encoder, test, head.outputs, evaluation.answered)
    scratch = evaluation.context.folder("control-in-engine")
    latency = measure(task.in_engine(model, folder, manifest, scratch), test)
    digest = digest_files(record.control.files)
    told = head.answers(outputs), head.confidences(outputs)
    evaluation.models["control"] = Candidate(*told, digest, record.control.parameters, *latency)


def score_incumbent(evaluation: Evaluation, incumbent: ArtifactRef | None) -> None:
    """The model that serves now."""
    if incumbent is None:
        return
    manifest = fetch_artifact(incumbent.uri, incumbent.digest, evaluation.context.folder("incumbent"))
    evaluation.models["incumbent"] = evaluation.served("incumbent", manifest, incumbent.digest)


def judge(evaluation: Evaluation) -> Verdict:
    """The gate's decision on what is recorded. Raises InputRefused (GateInput)."""
    try:
        return decide(items_of(evaluation.head.metric, columns(evaluation)), gate_of(evaluation.run.gate))
    except GateError as error:
        raise InputRefused("GateInput", str(error)) from error


def gate_of(spec: GateSpec) -> Gate:
    """What the spec asks, in the gate's own words."""
    asked = spec.slices
    return Gate(
        min_retention=spec.min_retention,
        incumbent_margin=spec.incumbent_margin,
        chance_accuracy=spec.chance_accuracy,
        min_accuracy=spec.min_accuracy,
        max_mean_absolute_error=spec.max_mean_absolute_error,
        max_perplexity=spec.max_perplexity,
        max_negative_flips=spec.max_negative_flips,
        max_copied_errors=spec.max_copied_errors,
        max_calibration_error=spec.max_calibration_error,
        slices=SliceGate(min_retention=asked.min_retention, min_items=asked.min_items) if asked else None,
    )


def columns(evaluation: Evaluation) -> dict[str, Sequence[Any]]:
    """What is recorded."""
    models = evaluation.models.items()
    told = {name: model.answers for name, model in models}
    sure = {f"{name}_confidence": model.confidences for name, model in models if model.confidences is not None}
    return recorded(evaluation.head, evaluation.test, {**told, **sure})


def publish(
    evaluation: Evaluation, panel: Panel, target: Prefix, record: TrainRecord, verdict: Verdict
) -> VerdictStatus:
    """Write items.parquet, then report.json, which is never overwritten."""
    run, models, items = evaluation.run, evaluation.models, items_file(evaluation)
    target.write(ITEMS, items)
    report = Report(
        job=run.job,
        attempt=run.attempt,
        teacher=Content(
            uri=", ".join(member.spec.place for member in panel.in_verdict.members), digest=models["teacher"].digest
        ),
        writer=writer_of(panel),
        test=Content(uri=run.dataset.test, digest=evaluation.test.digest),
        artifact=run.artifact,
        incumbent=run.incumbent,
        control=Content(uri=record.control.folder, digest=models["control"].digest) if record.control else None,
        training=training_facts(record) | {"droppedRows": record.dropped_rows},
        items=Content(uri=f"{target.uri}/{ITEMS}", digest=digest_bytes(items)),
        gate=run.gate,
        gate_hash=run.gate.hash,
        verdict=verdict,
        measured=measured(models, verdict),
        ranking=rankings(evaluation),
    )
    target.create(REPORT, report.model_dump_json(by_alias=True, exclude_none=True).encode())
    status = read_report(target)
    assert status is not None  # noqa: S101 - written just above
    return status


def writer_of(panel: Panel) -> Content | None:
    """Who wrote what was learned, where that is not the teacher of the verdict."""
    if panel.yardstick is None or panel.writer is None:
        return None
    return Content(uri=panel.writer.spec.place, digest=panel.writer.teacher.digest)


def items_file(evaluation: Evaluation) -> bytes:
    """What is recorded, as Parquet."""
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns(evaluation)), buffer)
    return buffer.getvalue()


def measured(models: dict[str, Candidate], verdict: Verdict) -> list[Measured]:
    """The metric with its interval, size and latency of each model."""
    return [
        Measured(
            name=found.name,
            metric=found.metric,
            value=found.value,
            low=found.low,
            high=found.high,
            items=found.n,
            parameters=models[found.name].parameters,
            p50_ms=models[found.name].p50_ms,
            p99_ms=models[found.name].p99_ms,
        )
        for found in verdict.measurements
    ]


def rankings(evaluation: Evaluation) -> dict[str, Ranking] | None:
    """How each model ranks the texts of a query; None where there are no queries, or none with texts to rank."""
    truths = evaluation.head.truths(evaluation.test)
    if "query" not in truths:
        return None
    queries, gold = [str(query) for query in truths["query"]], np.array(truths["gold"], dtype=np.float64)
    models = evaluation.models.items()
    found = {name: ranking(queries, gold, np.array(model.answers, dtype=np.float64)) for name, model in models}
    return {name: each for name, each in found.items() if each} or None


def training_facts(record: TrainRecord) -> dict[str, object]:
    """What student and control cost, so that their comparison can be judged."""
    facts = {"student": record.student, "control": record.control}
    shown: dict[str, Any] = {"by_alias": True, "exclude": {"files"}, "exclude_none": True}
    return {name: model.model_dump(**shown) for name, model in facts.items() if model}
