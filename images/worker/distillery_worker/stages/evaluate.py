"""evaluate: teacher, incumbent, student and control on the same held-out rows, then the gate's decision."""

import io
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from distillery_api.artifact import ArtifactManifest
from distillery_api.digests import digest_bytes
from distillery_api.distillationjob_status import Measured, VerdictStatus
from distillery_api.gate import asked
from distillery_api.reporting import SIGNATURE
from distillery_api.run import EvaluateRun
from distillery_gate import Costs, Gate, GateError, Look, Verdict, decide, items_of
from distillery_gate.policy import METRICS
from distillery_storage import NotFound, Prefix, fetch_artifact, open_prefix
from distillery_storage.signatures import sign

from ..artifacts.contamination import known_rows
from ..artifacts.records import TrainRecord, student_prefix
from ..context import Context
from ..errors import InputRefused
from ..evaluation.answering import Candidate, Evaluation, rankings, score_control, score_incumbent, score_teacher
from ..evaluation.costs import answers_to_time, costs_of_student
from ..evaluation.examples import examples_file
from ..evaluation.extending import parts
from ..evaluation.looks import Question, take_look
from ..evaluation.recorded import recorded
from ..evaluation.report import Content, Report
from ..evaluation.robustness import perturbations_of, score_perturbed
from ..evaluation.signing import check_signed, signing_key
from ..tasks.registry import task_of
from ..teachers.panel import Panel, fetch_panel
from .compress import published_record

REPORT, ITEMS, EXAMPLES = "report.json", "items.parquet", "examples.parquet"


def evaluate(run: EvaluateRun, context: Context) -> VerdictStatus:
    """Score, decide and publish; a report that this attempt has published already is the answer."""
    storage, task = open_prefix(run.storage), task_of(run)
    target = storage.child(f"evaluations/{run.job.uid}/{run.attempt}")
    key = signing_key(run.report)
    if (published := read_report(target, key)) is not None:
        return published
    record = published_record(student_prefix(storage, run.student_key))
    manifest = fetch_artifact(run.artifact.uri, run.artifact.digest, context.folder("artifact"))
    panel = fetch_panel(run, context)
    check_origin(run, manifest, panel)
    head = task.head_of(manifest.labels)
    rows = task.load_rows(run.dataset.test, "test", run.dataset.columns, head, context.folder("data"))
    rows = known_rows(student_prefix(storage, run.student_key), rows, run.dataset.test, record.files)
    encoder = task.encoder(context.folder("artifact"), manifest.preprocessing)
    test = task.units(rows, encoder)
    evaluation = Evaluation(run, context, task, head, encoder, test, answers_to_time=answers_to_time(run.gate))
    count = 1 + len(panel.in_verdict.members) + bool(record.control) + bool(run.incumbent) + len(perturbations_of(run))
    context.progress.start(len(test) * count, "answers")
    evaluation.models["student"] = evaluation.served("artifact", manifest, run.artifact.digest)
    costs = costs_of_student(evaluation, "artifact", manifest)
    score_teacher(evaluation, manifest, panel.in_verdict)
    score_control(evaluation, manifest, record, student_prefix(storage, run.student_key))
    score_incumbent(evaluation, run.incumbent)
    score_perturbed(evaluation, manifest)
    report = make_report(evaluation, panel, target, record, judge(evaluation, storage, costs), costs)
    return publish(target, report, key)


def read_report(target: Prefix, key: Path | None) -> VerdictStatus | None:
    """The verdict of a published report; where there is a key, one with its signature. Raises InputRefused."""
    try:
        data = target.read(REPORT)
    except NotFound:
        return None
    if key:
        check_signed(target, REPORT, data, key)
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


def judge(evaluation: Evaluation, storage: Prefix, costs: Costs) -> Verdict:
    """The gate's decision, as a look at the test set, on as many rows as it needs. Raises InputRefused (GateInput)."""
    gate, clusters = evaluation.run.gate, evaluation.head.items(evaluation.rows)
    *earlier, last = parts(clusters, gate.first_rows if gate.on_inconclusive == "Extend" else None)
    number, shares = noted(evaluation, storage), list[float]()

    def decided(places: list[int]) -> Verdict:
        evaluation.look_at(places)
        shares.append(len(evaluation.places) / len(evaluation.rows))
        items = items_of(METRICS[gate.metric] if gate.metric else evaluation.head.metric, columns(evaluation))
        look = Look(number=number, shares=tuple(shares))
        return decide(items, Gate.model_validate(asked(gate.dump())), look, costs)

    for places in earlier:
        with suppress(GateError):  # what few rows cannot show, more may
            if not (verdict := decided(places)).may_extend:
                return verdict
    try:
        return decided(last)
    except GateError as error:
        raise InputRefused("GateInput", str(error)) from error


def noted(evaluation: Evaluation, storage: Prefix) -> int:
    """Which look at the test set it is, noted in the ledger. Raises InputRefused (LooksUnreadable)."""
    run, digests = evaluation.run, {name: model.digest for name, model in evaluation.models.items()}
    asked = Question(
        artifact=digests["student"],
        teacher=digests["teacher"],
        incumbent=digests.get("incumbent"),
        control=digests.get("control"),
        gate=run.gate.hash,
    )
    return take_look(storage, evaluation.rows.digest, asked, run.job, run.attempt)


def columns(evaluation: Evaluation) -> dict[str, Sequence[Any]]:
    """What is recorded."""
    models = evaluation.models.items()
    told = {name: model.answers for name, model in models}
    sure = {f"{name}_confidence": model.confidences for name, model in models if model.confidences is not None}
    changed = {f"student_{name}": each.answers for name, each in evaluation.perturbed.items()}
    return recorded(evaluation.head, evaluation.test, evaluation.places, {**told, **sure, **changed})


def make_report(
    evaluation: Evaluation, panel: Panel, target: Prefix, record: TrainRecord, verdict: Verdict, costs: Costs
) -> Report:
    """The report; what it names by digest is written."""
    run, models, told = evaluation.run, evaluation.models, columns(evaluation)
    items = stored(target, ITEMS, parquet(told))
    worst = verdict.slices[0].name if verdict.slices else None
    examples = examples_file(evaluation, told, worst) if run.report.examples else None
    return Report(
        job=run.job,
        attempt=run.attempt,
        task=run.task,
        teacher=Content(
            uri=", ".join(member.spec.place for member in panel.in_verdict.members), digest=models["teacher"].digest
        ),
        writer=writer_of(panel),
        test=Content(uri=run.dataset.test, digest=evaluation.test.digest),
        artifact=run.artifact,
        incumbent=run.incumbent,
        control=Content(uri=record.control.folder, digest=models["control"].digest) if record.control else None,
        training_data=training_data(run, record),
        training=training_facts(record) | {"droppedRows": record.dropped_rows},
        items=items,
        examples=stored(target, EXAMPLES, parquet(examples)) if examples else None,
        gate=run.gate,
        gate_hash=run.gate.hash,
        verdict=verdict,
        measured=measured(models, verdict),
        costs=costs,
        ranking=rankings(evaluation),
    )


def publish(target: Prefix, report: Report, key: Path | None) -> VerdictStatus:
    """Write report.json, which is never overwritten; before it its signature, where there is a key."""
    data = report.model_dump_json(by_alias=True, exclude_none=True).encode()
    if key and not target.exists(REPORT):  # that of a pod that was faster has its own
        target.write(SIGNATURE, sign(data, REPORT, key))
    target.create(REPORT, data)
    status = read_report(target, key)
    assert status is not None  # noqa: S101 - written just above
    return status


def training_data(run: EvaluateRun, record: TrainRecord) -> dict[str, Content] | None:
    """Where this job reads what the student has learned from, with the content that it had then."""
    if record.files is None:
        return None
    return {field: Content(uri=getattr(run.dataset, field), digest=digest) for field, digest in record.files.items()}


def writer_of(panel: Panel) -> Content | None:
    """Who wrote what was learned, where that is not the teacher of the verdict."""
    if panel.yardstick is None or panel.writer is None:
        return None
    return Content(uri=panel.writer.spec.place, digest=panel.writer.teacher.digest)


def stored(target: Prefix, name: str, data: bytes) -> Content:
    """Write a file that the report names."""
    target.write(name, data)
    return Content(uri=f"{target.uri}/{name}", digest=digest_bytes(data))


def parquet(table: Mapping[str, Sequence[Any]]) -> bytes:
    """Columns as a Parquet file."""
    buffer = io.BytesIO()
    pq.write_table(pa.table(dict(table)), buffer)
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
            p50_ms=timings.percentile(50) if timings else None,
            p99_ms=timings.percentile(99) if timings else None,
        )
        for found in verdict.measurements
        for timings in [models[found.name].timings]
    ]


def training_facts(record: TrainRecord) -> dict[str, object]:
    """What student and control cost, so that their comparison can be judged."""
    facts = {"student": record.student, "control": record.control}
    shown: dict[str, Any] = {"by_alias": True, "exclude": {"files"}, "exclude_none": True}
    return {name: model.model_dump(**shown) for name, model in facts.items() if model}
