"""compress: export the student to the artifact that serves, check its outputs against torch, publish it."""

import shutil
from pathlib import Path

import numpy as np
from distillery_api.artifact import MANIFEST, ArtifactManifest, File, Provenance
from distillery_api.digests import canonical, digest_bytes
from distillery_api.run import CompressRun
from distillery_api.summary import CompressResult
from distillery_engine import TextClassifier
from distillery_storage import NotFound, Prefix, fetch_artifact, open_prefix, publish_folder
from distillery_storage.folders import file_digest
from transformers import PreTrainedModel

from ..artifacts.onnx_export import export_onnx
from ..artifacts.records import TrainRecord, fetch_model, read_record, student_prefix
from ..context import Context
from ..data.files import load_rows
from ..errors import InputRefused
from ..students.bert import load_student
from ..teachers.local import TOKENIZER, predict

FORMAT = "onnx-fp32"
CHECK_ROWS = 256
TOLERANCE = 1e-4  # largest difference of a logit


def compress(run: CompressRun, context: Context) -> CompressResult:
    """Publish the artifact, or check the published one again. Raises InputRefused (ExportMismatch)."""
    student = student_prefix(open_prefix(run.storage), run.student_key)
    record = published_record(student)
    context.progress.start(3, "steps")
    model = load_student(fetch_model(student, record.student, context.folder("student")))
    context.progress.advance()
    target, folder = student.child(FORMAT), context.folder(FORMAT)
    manifest = fetch_published(target, folder) or export(model, record, run, context.folder("student"), folder)
    context.progress.advance()
    difference = check_outputs(model, TextClassifier(folder, manifest, context.threads), check_texts(run, context))
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
    """Write model.onnx, tokenizer.json and manifest.json into the folder."""
    export_onnx(model, folder / "model.onnx")
    shutil.copy(student / TOKENIZER, folder / record.preprocessing.tokenizer)
    names = ("model.onnx", record.preprocessing.tokenizer)
    manifest = ArtifactManifest(
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


def check_texts(run: CompressRun, context: Context) -> list[str]:
    """Real rows to compare on."""
    return load_rows(run.dataset.train, "train", run.dataset.columns, None, context.folder("data")).texts[:CHECK_ROWS]


def check_outputs(model: PreTrainedModel, classifier: TextClassifier, texts: list[str]) -> float:
    """The largest difference between an ONNX and a torch logit, in one padded batch and row by row."""
    batch = classifier.tokenizer.batch(texts)
    expected = predict(model, batch)
    alone = np.concatenate([classifier.logits([text]) for text in texts])
    difference = float(max(np.abs(classifier.run(batch) - expected).max(), np.abs(alone - expected).max()))
    if not difference <= TOLERANCE:  # NaN too
        raise InputRefused(
            "ExportMismatch",
            f"the ONNX student's logits differ from torch's by {difference:.2e} on {len(texts)} rows, more than"
            f" {TOLERANCE:g}; report this with student.config, or use another student",
        )
    return difference
