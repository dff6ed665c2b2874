"""evaluate: teacher, incumbent, student and control on the same held-out rows, then the gate's decision."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from distillery_api.artifact import ArtifactManifest
from distillery_api.digests import digest_bytes, digest_files
from distillery_api.distillationjob_status import Measured, VerdictStatus
from distillery_api.run import ArtifactRef, EvaluateRun
from distillery_engine import Batch, TextClassifier, TextTokenizer
from distillery_gate import EvaluationItems, Gate, GateError, Verdict, decide
from distillery_storage import NotFound, Prefix, fetch_artifact, open_prefix
from numpy.typing import NDArray

from ..artifacts.records import TrainRecord, fetch_model, student_prefix
from ..context import Context
from ..data.files import Rows, load_rows
from ..errors import InputRefused
from ..evaluation.latency import in_engine, measure
from ..evaluation.report import Content, Report
from ..students.bert import count_parameters, load_student
from ..teachers.local import TOKENIZER, TeacherFolder, fetch_teacher, load_teacher, predict
from .compress import published_record

BATCH = 64
REPORT, ITEMS = "report.json", "items.parquet"
Score = Callable[[Batch], NDArray[np.float32]]


@dataclass
class Candidate:
    """One model's answers. predictions: label names [items]"""

    predictions: list[str]
    digest: str
    parameters: int
    p50_ms: float
    p99_ms: float


@dataclass
class Evaluation:
    """What the models are run on."""

    run: EvaluateRun
    context: Context
    test: Rows
    labels: list[str]
    models: dict[str, Candidate] = field(default_factory=dict)

    def answers(self, tokenizer: TextTokenizer, score: Score, labels: Sequence[str]) -> list[str]:
        """Predicted label names, in the order of the rows; batches hold rows of similar length."""
        rows = tokenizer.ids(self.test.texts)
        order = sorted(range(len(rows)), key=lambda index: len(rows[index]))
        names = [""] * len(rows)
        for start in range(0, len(order), BATCH):
            self.context.check_stop("nothing of an evaluation is kept")
            chosen = order[start : start + BATCH]
            best = score(tokenizer.pad([rows[index] for index in chosen])).argmax(axis=1)
            for index, label in zip(chosen, best, strict=True):
                names[index] = labels[label]
            self.context.progress.advance(len(chosen))
        return names


def evaluate(run: EvaluateRun, context: Context) -> VerdictStatus:
    """Score, decide and publish; a report that this attempt has published already is the answer."""
    storage = open_prefix(run.storage)
    target = storage.child(f"evaluations/{run.job.uid}/{run.attempt}")
    if (published := read_report(target)) is not None:
        return published
    record = published_record(student_prefix(storage, run.student_key))
    manifest = fetch_artifact(run.artifact.uri, run.artifact.digest, context.folder("artifact"))
    teacher = fetch_teacher(run.teacher, context.folder("teacher"))
    check_origin(run, manifest, teacher)
    test = load_rows(run.dataset.test, "test", run.dataset.columns, manifest.labels, context.folder("data"))
    evaluation = Evaluation(run, context, test, list(manifest.labels))
    count = 2 + bool(record.control) + bool(run.incumbent)
    context.progress.start(len(test.texts) * count, "answers")
    score_student(evaluation, manifest)
    score_teacher(evaluation, manifest, teacher)
    score_control(evaluation, manifest, record, student_prefix(storage, run.student_key))
    score_incumbent(evaluation, run.incumbent)
    return publish(evaluation, target, record, judge(evaluation))


def read_report(target: Prefix) -> VerdictStatus | None:
    """The verdict of a published report."""
    try:
        data = target.read(REPORT)
    except NotFound:
        return None
    return Report.model_validate_json(data).status(f"{target.uri}/{REPORT}", digest_bytes(data))


def check_origin(run: EvaluateRun, manifest: ArtifactManifest, teacher: TeacherFolder) -> None:
    """The artifact must come from this training and this teacher."""
    made = manifest.provenance
    if made.student_key != run.student_key or made.teacher != teacher.digest:
        raise InputRefused(
            "ArtifactMismatch",
            f"{run.artifact.uri} was made from student {made.student_key} and teacher {made.teacher}, not from"
            f" {run.student_key} and {teacher.digest}; restore the teacher's folder or apply the job again",
        )


def score_student(evaluation: Evaluation, manifest: ArtifactManifest) -> None:
    """The artifact, in the engine that serves it."""
    folder = evaluation.context.folder("artifact")
    engine = TextClassifier(folder, manifest, evaluation.context.threads)
    p50, p99 = measure(TextClassifier(folder, manifest, threads=1), evaluation.test.texts)
    evaluation.models["student"] = Candidate(
        evaluation.answers(engine.tokenizer, engine.run, engine.labels),
        evaluation.run.artifact.digest,
        manifest.parameters,
        p50,
        p99,
    )


def score_teacher(evaluation: Evaluation, manifest: ArtifactManifest, teacher: TeacherFolder) -> None:
    """The teacher in torch; its latency in the student's engine."""
    model = load_teacher(teacher, evaluation.run.teacher.uri)
    names = evaluation.answers(teacher.tokenizer(), lambda batch: predict(model, batch), teacher.labels)
    engine = in_engine(model, teacher.path / TOKENIZER, manifest, evaluation.context.folder("teacher-onnx"))
    p50, p99 = measure(engine, evaluation.test.texts)
    evaluation.models["teacher"] = Candidate(names, teacher.digest, count_parameters(model), p50, p99)


def score_control(evaluation: Evaluation, manifest: ArtifactManifest, record: TrainRecord, student: Prefix) -> None:
    """The control in torch, if the job trained one; its latency in the student's engine."""
    if record.control is None:
        return
    folder = fetch_model(student, record.control, evaluation.context.folder("control"))
    model, limits = load_student(folder), record.preprocessing
    tokenizer = TextTokenizer(folder / limits.tokenizer, limits.max_length, limits.pad_token_id)
    names = evaluation.answers(tokenizer, lambda batch: predict(model, batch), record.labels)
    engine = in_engine(model, folder / limits.tokenizer, manifest, evaluation.context.folder("control-onnx"))
    p50, p99 = measure(engine, evaluation.test.texts)
    digest = digest_files(record.control.files)
    evaluation.models["control"] = Candidate(names, digest, record.control.parameters, p50, p99)


def score_incumbent(evaluation: Evaluation, incumbent: ArtifactRef | None) -> None:
    """The model that serves now, by its own preprocessing and its own label names."""
    if incumbent is None:
        return
    folder = evaluation.context.folder("incumbent")
    manifest = fetch_artifact(incumbent.uri, incumbent.digest, folder)
    engine = TextClassifier(folder, manifest, evaluation.context.threads)
    names = evaluation.answers(engine.tokenizer, engine.run, engine.labels)
    p50, p99 = measure(TextClassifier(folder, manifest, threads=1), evaluation.test.texts)
    evaluation.models["incumbent"] = Candidate(names, incumbent.digest, manifest.parameters, p50, p99)


def judge(evaluation: Evaluation) -> Verdict:
    """The gate's decision. Raises InputRefused (GateInput)."""
    gold = gold_names(evaluation)
    right = {
        name: np.array([answer == label for answer, label in zip(model.predictions, gold, strict=True)])
        for name, model in evaluation.models.items()
    }
    spec = evaluation.run.gate
    gate = Gate(min_retention=spec.min_retention, incumbent_margin=spec.incumbent_margin)
    try:
        return decide(EvaluationItems(ids=range(len(gold)), **right), gate)
    except GateError as error:
        raise InputRefused("GateInput", str(error)) from error


def gold_names(evaluation: Evaluation) -> list[str]:
    """Gold label names of the held-out rows."""
    return [evaluation.labels[label] for label in evaluation.test.labels or []]


def publish(evaluation: Evaluation, target: Prefix, record: TrainRecord, verdict: Verdict) -> VerdictStatus:
    """Write items.parquet, then report.json, which is never overwritten."""
    run, models, items = evaluation.run, evaluation.models, items_file(evaluation)
    target.write(ITEMS, items)
    report = Report(
        job=run.job,
        attempt=run.attempt,
        teacher=Content(uri=run.teacher.uri, digest=models["teacher"].digest),
        test=Content(uri=run.dataset.test, digest=evaluation.test.digest),
        artifact=run.artifact,
        incumbent=run.incumbent,
        control=Content(uri=record.control.folder, digest=models["control"].digest) if record.control else None,
        training=training_facts(record),
        items=Content(uri=f"{target.uri}/{ITEMS}", digest=digest_bytes(items)),
        gate=run.gate,
        gate_hash=run.gate.hash,
        verdict=verdict,
        measured=measured(models, verdict),
    )
    target.create(REPORT, report.model_dump_json(by_alias=True, exclude_none=True).encode())
    status = read_report(target)
    assert status is not None  # noqa: S101 - written just above
    return status


def items_file(evaluation: Evaluation) -> bytes:
    """One row per held-out item: its number in the test file, its key, the gold label and each model's answer."""
    columns = {"item": list(range(len(evaluation.test.texts))), "row_key": evaluation.test.keys}
    columns |= {"gold": gold_names(evaluation)}
    columns |= {name: model.predictions for name, model in evaluation.models.items()}
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer)
    return buffer.getvalue()


def measured(models: dict[str, Candidate], verdict: Verdict) -> list[Measured]:
    """Accuracy with its interval, size and latency of each model."""
    return [
        Measured(
            name=accuracy.name,
            accuracy=accuracy.value,
            low=accuracy.low,
            high=accuracy.high,
            items=accuracy.n,
            parameters=models[accuracy.name].parameters,
            p50_ms=models[accuracy.name].p50_ms,
            p99_ms=models[accuracy.name].p99_ms,
        )
        for accuracy in verdict.accuracies
    ]


def training_facts(record: TrainRecord) -> dict[str, object]:
    """What student and control cost, so that their comparison can be judged."""
    facts = {"student": record.student, "control": record.control}
    return {name: model.model_dump(by_alias=True, exclude={"files"}) for name, model in facts.items() if model}
