"""DistillationJob: one run from a teacher and data to a verdict on a student."""

from typing import Annotated

from pydantic import Field

from . import GROUP
from .causal_lm import CAUSAL_LM_RULES
from .dataset import DATASET_RULES, Dataset
from .filters import FILTER_RULES
from .gate import JOB_GATE_RULES, GateSpec
from .images import IMAGE_RULES
from .objective import Objective
from .pods import EvaluateStage, Stage
from .reporting import ReportSpec
from .schema import Model, Name, ObjectName, Uri, rules
from .scoring import SCORING_RULES
from .soft_labels import SOFT_LABEL_RULES, SoftLabels
from .sources import SecretRef
from .student import STUDENT_RULES, Student, StudentConfig
from .tasks import TaskName
from .teachers import TEACHERS_RULES, Teachers

STAGES = ("preflight", "label", "train", "compress", "evaluate")


class Control(Model):
    """The same student without the teacher: gold rows only, equal optimiser steps. Reported, never served."""

    learning_rate: Annotated[float, Field(gt=0, le=1)]


class Training(Model):
    """AdamW with a one-cycle schedule; the checkpoint with the best validation score is kept."""

    epochs: Annotated[int, Field(ge=1, le=1000, description="Passes over labelled and unlabelled rows.")] = 3
    batch_size: Annotated[int, Field(ge=1, le=4096)] = 32
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.0015
    seed: Annotated[int, Field(ge=0, le=2147483647)] = 0
    checkpoint_every_steps: Annotated[int, Field(ge=1, le=1000000)] = 500
    nodes: Annotated[int, Field(ge=1, le=1000, description="Pods that train one model together.")] = 1
    processes_per_node: Annotated[int, Field(ge=1, le=64, description="In each pod; one for each of its GPUs.")] = 1
    control: Control | None = None


class Storage(Model):
    """Where soft labels, checkpoints, students and reports are kept: the trust boundary of a namespace."""

    uri: Uri
    secret_ref: SecretRef | None = None


class PromoteTo(Model):
    """The DistilledModel that is offered a student that passed."""

    name: ObjectName


class StagesSpec(Model):
    """Pod settings for each stage."""

    preflight: Stage = Stage()
    label: Stage = Stage()
    train: Stage = Stage()
    compress: Stage = Stage()
    evaluate: EvaluateStage = EvaluateStage()


class Limits(Model):
    """What the run may use up."""

    gpu_seconds: Annotated[
        int,
        Field(
            ge=1,
            le=10**9,
            description="GPUs times seconds of their running pods, all stages together; the job fails at it.",
        ),
    ]


OUR_CONTROLLER = f"{GROUP}/operator"
MUTABLE = ("suspend", "priorityClassName", "queuePriorityClassName", "limits", "ttlSecondsAfterFinished")
ControllerName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=253,
        json_schema_extra=rules(
            (
                "self.matches('^[a-z0-9.-]+/[A-Za-z0-9._-]+$')",
                f"write domain/name, such as {OUR_CONTROLLER} or kueue.x-k8s.io/multikueue",
            )
        ),
    ),
]


# Of fields that name each other: on the spec, where both are in reach.
SPEC_RULES = (
    (
        "!has(self.student.from) || self.teachers.exists(t, t.name == self.student.from.teacher)",
        "student.from.teacher must be the name of one of teachers",
        ".student.from.teacher",
    ),
    *TEACHERS_RULES,
    *SCORING_RULES,
    *IMAGE_RULES,
    *CAUSAL_LM_RULES,
    *FILTER_RULES,
    *JOB_GATE_RULES,
)


class DistillationJobSpec(Model):
    """The whole request. Immutable but for MUTABLE: another experiment is another job, with the same soft labels."""

    suspend: Annotated[
        bool, Field(description="Ends the running attempt and keeps its work; false goes on with the next attempt.")
    ] = False
    managed_by: (
        Annotated[
            ControllerName,
            Field(description=f"The controller that runs this job: {OUR_CONTROLLER}, or another that we leave it to."),
        ]
        | None
    ) = None
    queue_name: Annotated[Name, Field(description="The Kueue LocalQueue that admits each stage's Job.")] | None = None
    queue_priority_class_name: (
        Annotated[Name, Field(description="Kueue WorkloadPriorityClass of Jobs that start from now on.")] | None
    ) = None
    priority_class_name: Annotated[Name, Field(description="PriorityClass of pods that start from now on.")] | None = (
        None
    )
    limits: Limits | None = None
    ttl_seconds_after_finished: (
        Annotated[
            int,
            Field(ge=0, le=31536000, description="Deletes the ended job's Jobs and pods after it; never the job."),
        ]
        | None
    ) = None
    task: TaskName
    teachers: Teachers
    student: Annotated[Student, Field(json_schema_extra=STUDENT_RULES)] = Student(config=StudentConfig())
    dataset: Annotated[Dataset, Field(json_schema_extra=DATASET_RULES)]
    soft_labels: Annotated[SoftLabels, Field(json_schema_extra=SOFT_LABEL_RULES)] = SoftLabels()
    objective: Objective = Objective()
    training: Training = Training()
    gate: GateSpec = GateSpec()
    report: ReportSpec = ReportSpec()
    storage: Storage
    promote_to: PromoteTo | None = None
    stages: StagesSpec = StagesSpec()
