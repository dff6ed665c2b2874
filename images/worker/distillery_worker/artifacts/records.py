"""train.json: the trained student and its control, by content. Writing it is what publishes a training."""

from pathlib import Path
from typing import Literal

from distillery_api.artifact import Preprocessing
from distillery_api.digests import canonical
from distillery_api.schema import Digest, Model
from distillery_storage import DigestMismatch, NotFound, Prefix
from distillery_storage.folders import file_digest

TRAIN_RECORD = "train.json"


class ModelRecord(Model):
    """One trained model: a Hugging Face folder below the student's prefix, and how it came about."""

    folder: str
    files: dict[str, Digest]
    parameters: int
    learning_rate: float
    steps: int
    best_step: int
    rows: int  # it learned from
    passes: float  # over those rows
    micro_batch: int  # rows that went through the model at once; halved where they did not fit into memory
    initial_weights: Digest
    cpu_seconds: float
    validation_score: float  # the task's metric; errors and losses are negated, so that higher is better
    initial_divergence: float | None = None  # from the teacher, before the first step: nats; of scores, squared
    signal: float | None = None  # 0 to 1: how much the teacher's answers decide of the first gradient


class TrainRecord(Model):
    """Everything the later stages need to know about a training."""

    schema_version: Literal["distillery.dev/train/v1"] = "distillery.dev/train/v1"
    job_uid: str
    teacher: Digest
    labels_key: Digest
    labels_keys: dict[str, Digest] | None = None  # of several teachers' sets, by name
    grades_key: Digest | None = None  # of the set with a judge's grades
    student_key: Digest
    labels: list[str]
    preprocessing: Preprocessing
    validation_rows: int
    dropped_rows: dict[str, int]  # rows of train and unlabelled that were not learned from, by filter
    files: dict[str, Digest] | None = None  # digests of train and unlabelled; absent in records of before
    resumed_from_step: int
    student: ModelRecord
    control: ModelRecord | None = None


def student_prefix(storage: Prefix, student_key: str) -> Prefix:
    """students/<key> below the storage prefix."""
    return storage.child(f"students/{student_key.removeprefix('sha256:')}")


def read_record(student: Prefix) -> TrainRecord | None:
    """The published training, or None."""
    try:
        return TrainRecord.model_validate_json(student.read(TRAIN_RECORD))
    except NotFound:
        return None


def publish_record(student: Prefix, record: TrainRecord) -> TrainRecord:
    """Publish a training; where another attempt was faster, its record is the answer."""
    student.create(TRAIN_RECORD, canonical(record.dump()))
    return TrainRecord.model_validate_json(student.read(TRAIN_RECORD))


def fetch_model(student: Prefix, model: ModelRecord, dest: Path) -> Path:
    """Download a trained model and check every file. Raises DigestMismatch."""
    for name, digest in model.files.items():
        student.download(f"{model.folder}/{name}", dest / name)
        if file_digest(dest / name) != digest:
            raise DigestMismatch(
                f"{student.uri}/{model.folder}/{name}: is not what training wrote;"
                f" restore it, or delete {student.uri}/{TRAIN_RECORD} and apply the job again"
            )
    return dest
