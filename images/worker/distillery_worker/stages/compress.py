"""compress: export the student to the artifact that serves, check its outputs against torch, publish it."""

from pathlib import Path
from typing import Any

import numpy as np
from distillery_api.artifact import MANIFEST, ArtifactManifest, File, Provenance
from distillery_api.digests import canonical, digest_bytes
from distillery_api.run import CompressRun
from distillery_api.summary import CompressResult
from distillery_storage import NotFound, Prefix, fetch_artifact, open_prefix, publish_folder
from distillery_storage.folders import file_digest
from transformers import PreTrainedModel

from ..artifacts.records import TrainRecord, fetch_model, read_record, student_prefix
from ..context import Context
from ..errors import InputRefused
from ..tasks.registry import task_of
from ..tasks.task import Engine, Task
from ..teachers.teacher import Encoder

CHECK_ROWS = 256
TOLERANCE = 1e-4  # largest difference of an output


def compress(run: CompressRun, context: Context) -> CompressResult:
    """Publish the artifact, or check the published one again. Raises InputRefused (ExportMismatch)."""
    student = student_prefix(open_prefix(run.storage), run.student_key)
    record = published_record(student)
    context.progress.start(3, "steps")
    task = task_of(run)
    model = task.load_student(fetch_model(student, record.student, context.folder("student")))
    context.progress.advance()
    target, folder = student.child(task.format), context.folder(task.format)
    manifest = fetch_published(target, folder) or export(model, record, run, context.folder("student"), folder)
    context.progress.advance()
    engine = task.engine(folder, manifest, context.threads)
    difference = check_outputs(task, model, engine, check_rows(run, context, engine.encoder))
    digest = publish_folder(folder, target, (folder / MANIFEST).read_bytes())
    context.progress.advance()
    return CompressResult(
        artifact_uri=target.uri, artifact_digest=digest, interface=manifest.interface(), max_abs_difference=difference
    )


def published_record(student: Prefix) -> TrainRecord:
    """The training's record; it must be there."""
    if (record := read_record(student)) is None:
        raise InputRefused(
            "ArtifactMismatch", f"{student.uri} has no trained student any more; apply the job again to train it"
        )
    return record


def fetch_published(target: Prefix, folder: Path) -> ArtifactManifest | None:
    """The artifact that another run has published, or None."""
    try:
        data = target.read(MANIFEST)
    except NotFound:
        return None
    return fetch_artifact(target.uri, digest_bytes(data), folder)


def export(
    model: PreTrainedModel, record: TrainRecord, run: CompressRun, student: Path, folder: Path
) -> ArtifactManifest:
    """Write what the engine loads, and manifest.json, into the folder."""
    task = task_of(run)
    names = task.export(model, student, record.preprocessing, folder)
    manifest = ArtifactManifest(
        task=run.task,
        format=task.format,
        model=names[0],
        labels=record.labels,
        preprocessing=record.preprocessing,
        parameters=record.student.parameters,
        files={name: File(sha256=file_digest(folder / name), size=(folder / name).stat().st_size) for name in names},
        provenance=Provenance(
            teacher=record.teacher, labels_key=record.labels_key, student_key=record.student_key, job_uid=run.job.uid
        ),
    )
    (folder / MANIFEST).write_bytes(canonical(manifest.dump()))
    return manifest


def check_rows(run: CompressRun, context: Context, encoder: Encoder) -> list[Any]:
    """Real rows to compare on."""
    task, folder = task_of(run), context.folder("data")
    rows = task.load_rows(run.dataset.train, "train", run.dataset.columns, None, folder).take(range(CHECK_ROWS))
    return task.units(rows, encoder).inputs[:CHECK_ROWS]


def check_outputs(task: Task[Any], model: PreTrainedModel, engine: Engine, rows: list[Any]) -> float:
    """The largest difference between the artifact's and the trained model's outputs, in one batch and row by row."""
    batch = engine.encoder.collate(engine.encoder.encode(rows))
    expected = task.predict(model, batch)
    alone = np.concatenate([engine.outputs([row]) for row in rows])
    difference = float(max(np.abs(engine.run(batch) - expected).max(), np.abs(alone - expected).max()))
    if not difference <= TOLERANCE:  # NaN too
        raise InputRefused(
            "ExportMismatch",
            f"the artifact's outputs differ from the trained student's by {difference:.2e} on {len(rows)} rows, more"
            f" than {TOLERANCE:g}; report this with the job's student, or use another student",
        )
    return difference
