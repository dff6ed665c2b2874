"""run.json: everything a stage's pod is told. An annotation of the pod template, projected as a read-only file."""

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from .dataset import Dataset
from .distillationjob import Training
from .gate import GateSpec
from .objective import Objective
from .reporting import ReportSpec
from .schema import Digest, Model
from .soft_labels import SoftLabels
from .sources import ModelSource
from .student import Student
from .tasks import TaskName
from .teachers import Teacher

RUN_ANNOTATION = "distillery.dev/run"
RUN_PATH = "/etc/distillery/run.json"
PROGRESS_PORT = 9090  # GET /progress (JSON) and /metrics on every stage pod
SERVE_PORT = 8080


class JobRef(Model):
    """The DistillationJob that a run belongs to."""

    namespace: str
    name: str
    uid: str


class StageRun(Model):
    """What every stage of a job is told."""

    job: JobRef
    attempt: Annotated[int, Field(ge=1)]
    storage: str  # uri of the prefix that this job may write under
    task: TaskName = "text-classification"
    teachers: list[Teacher]
    tokenizer: ModelSource | None = None  # the student's own folder, where no teacher has one
    dataset: Dataset
    soft_labels: SoftLabels


class PreflightRun(StageRun):
    """Check every input, resolve digests, and count the rows that have no soft labels yet."""

    stage: Literal["preflight"] = "preflight"
    student: Student
    objective: Objective
    training: Training
    gate: GateSpec = GateSpec()  # what the held-out rows must be able to show


class LabelRun(StageRun):
    """Write the teachers' answers for this shard's rows that have none. Shard index: JOB_COMPLETION_INDEX."""

    stage: Literal["label"] = "label"
    labels_key: Digest


class TrainRun(StageRun):
    """Train the student (and its control) on stored soft labels and gold labels."""

    stage: Literal["train"] = "train"
    labels_key: Digest
    student_key: Digest
    student: Student
    objective: Objective
    training: Training


class CompressRun(StageRun):
    """Export the student to the artifact that serves, and check its outputs against torch."""

    stage: Literal["compress"] = "compress"
    labels_key: Digest
    student_key: Digest


class ArtifactRef(Model):
    """A published artifact; `digest` is that of its manifest.json."""

    uri: str
    digest: Digest


class EvaluateRun(StageRun):
    """Score teacher, incumbent, student and control on the held-out rows, and decide."""

    stage: Literal["evaluate"] = "evaluate"
    student_key: Digest
    artifact: ArtifactRef
    incumbent: ArtifactRef | None = None
    gate: GateSpec
    report: ReportSpec = ReportSpec()


class ServeRun(Model):
    """Serve an artifact. The server refuses bytes whose digest differs."""

    stage: Literal["serve"] = "serve"
    namespace: str
    model: str
    revision: str
    artifact: ArtifactRef
    drain_seconds: int = 10


Run = Annotated[PreflightRun | LabelRun | TrainRun | CompressRun | EvaluateRun, Field(discriminator="stage")]
RUN: TypeAdapter[Run] = TypeAdapter(Run)
