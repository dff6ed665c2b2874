"""What a DistillationJob reports: stages, the gate's verdict, what was resolved and made. Written by the operator."""

from typing import Annotated, Literal

from pydantic import Field

from .gate import GateSpec
from .schema import CONDITION_LIST, Condition, Digest, Failure, Model
from .sources import Revision


class Progress(Model):
    """How far a running stage is, as its pods report it."""

    done: int
    total: int
    unit: Annotated[str, Field(max_length=32)]
    rate_per_second: float | None = None
    eta_seconds: int | None = None


class Retries(Model):
    """How often a stage was repeated, by why."""

    infrastructure: int = 0
    out_of_memory: int = 0
    image: int = 0
    lost: int = 0  # results that nobody could read, Jobs deleted by hand, incumbents that changed


class StageStatus(Model):
    """One stage of the run."""

    name: Literal["preflight", "label", "train", "compress", "evaluate"]
    state: Literal["Pending", "Running", "Suspended", "Done", "Skipped", "Failed"]
    attempt: int = 0
    job_name: Annotated[str, Field(max_length=63)] | None = None
    job_uid: Annotated[str, Field(max_length=64)] | None = None
    started_at: Annotated[str, Field(max_length=32)] | None = None
    finished_at: Annotated[str, Field(max_length=32)] | None = None
    progress: Progress | None = None
    image_id: Annotated[str, Field(max_length=512)] | None = None
    retries: Retries | None = None
    ending: Failure | None = None  # why the running attempt is being stopped
    gpu_seconds: float | None = None  # up to gpusSince
    gpus_in_use: int | None = None
    gpus_since: Annotated[str, Field(max_length=32)] | None = None
    message: Annotated[str, Field(max_length=1024)] | None = None


class CriterionStatus(Model):
    """One criterion of the gate, with everything needed to check it by hand."""

    name: Annotated[str, Field(max_length=64)]
    verdict: Literal["Pass", "Fail", "Inconclusive"]
    value: float
    low: float
    high: float
    threshold: float
    items: int
    items_needed: int | None = None
    message: Annotated[str, Field(max_length=512)]


class Measured(Model):
    """One model measured on the held-out items. Latency: one item at a time, one thread, in the serving engine."""

    name: Annotated[str, Field(max_length=64)]
    metric: Annotated[str, Field(max_length=32)]
    value: float
    low: float
    high: float
    items: int
    parameters: int | None = None
    p50_ms: float | None = None
    p99_ms: float | None = None


class VerdictStatus(Model):
    """The gate's decision and what it was taken on."""

    result: Literal["Pass", "Fail", "Inconclusive"]
    look: Annotated[int, Field(ge=1, description="Which verdict on this test set; a later one may err less.")] = 1
    criteria: Annotated[list[CriterionStatus], Field(max_length=16)]
    measured: Annotated[list[Measured], Field(max_length=8)] = []
    gate_hash: Digest
    artifact_digest: Digest
    incumbent_digest: Digest | None = None
    report_uri: Annotated[str, Field(max_length=1024)]
    report_digest: Digest


TeacherName = Annotated[str, Field(max_length=63)]


class Artifacts(Model):
    """What the run resolved and made, by content."""

    teacher_digest: Digest | None = None
    teacher_digests: Annotated[dict[TeacherName, Digest], Field(max_length=8)] | None = None
    teacher_revisions: Annotated[dict[TeacherName, Revision], Field(max_length=8)] | None = None
    student_model_digest: Digest | None = None
    student_model_revision: Revision | None = None
    labels_key: Digest | None = None
    labels_keys: Annotated[dict[TeacherName, Digest], Field(max_length=8)] | None = None
    grades_key: Digest | None = None  # of the set with a judge's grades
    student_key: Digest | None = None
    selection_key: Digest | None = None  # of the rows that dataset.filters keep
    rows: Annotated[dict[Annotated[str, Field(max_length=32)], int], Field(max_length=8)] | None = None
    dropped_rows: Annotated[dict[Annotated[str, Field(max_length=32)], int], Field(max_length=16)] | None = None
    label_bytes: int | None = None  # estimated, of rows that had no soft labels
    labelled_rows: int | None = None
    reused_rows: int | None = None
    rechecked_rows: int | None = None
    unusable_rows: int | None = None
    tokens: int | None = None
    student: Annotated[str, Field(max_length=1024)] | None = None
    artifact_uri: Annotated[str, Field(max_length=1024)] | None = None
    artifact_digest: Digest | None = None
    interface: Digest | None = None


class ResolvedImages(Model):
    """Worker image of each stage."""

    preflight: Annotated[str, Field(max_length=512)]
    label: Annotated[str, Field(max_length=512)]
    train: Annotated[str, Field(max_length=512)]
    compress: Annotated[str, Field(max_length=512)]
    evaluate: Annotated[str, Field(max_length=512)]


class Resolved(Model):
    """The snapshot that runs, taken before the first child: chart changes never touch a running job."""

    hash: Digest
    images: ResolvedImages
    gpu_resource: Annotated[str, Field(max_length=316)]
    gate: GateSpec
    gate_hash: Digest


class DistillationJobStatus(Model):
    """Written by the operator alone."""

    observed_generation: int = -1
    conditions: Annotated[list[Condition], Field(max_length=16, json_schema_extra=CONDITION_LIST)] = []
    stages: Annotated[
        list[StageStatus],
        Field(
            max_length=8,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        ),
    ] = []
    artifacts: Artifacts | None = None
    verdict: VerdictStatus | None = None
    resolved: Resolved | None = None
    started_at: Annotated[str, Field(max_length=32)] | None = None
    finished_at: Annotated[str, Field(max_length=32)] | None = None
