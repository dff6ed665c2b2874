"""DistillationJob: one run from a teacher and data to a verdict on a student."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from . import GROUP
from .dataset import DATASET_RULES, Dataset
from .digests import digest_of
from .pods import EvaluateStage, Stage
from .schema import Digest, Model, Name, ObjectName, Uri, rules
from .tasks import TaskName

STAGES = ("preflight", "label", "train", "compress", "evaluate")


class ModelSource(Model):
    """A folder with a Hugging Face model (config.json, tokenizer.json, safetensors weights)."""

    uri: Uri
    digest: Annotated[Digest, Field(description="Refuse the folder when its content differs.")] | None = None


class Teacher(Model):
    """A model whose answers the student learns."""

    name: Name = "main"
    model: ModelSource


class StudentConfig(Model):
    """A BERT encoder trained from scratch with the teacher's tokenizer."""

    hidden_size: Annotated[int, Field(ge=8, le=4096)] = 64
    layers: Annotated[int, Field(ge=1, le=48)] = 2
    attention_heads: Annotated[int, Field(ge=1, le=64)] = 2
    intermediate_size: Annotated[int, Field(ge=8, le=16384)] = 256
    embeddings: Annotated[
        Literal["FromTeacher", "Random"],
        Field(
            description="How token embeddings start: the teacher's, cut to hiddenSize by a truncated SVD, or random."
        ),
    ] = "FromTeacher"


class Student(Model):
    """The model to train."""

    config: Annotated[
        StudentConfig,
        Field(
            json_schema_extra=rules(
                (
                    "self.hiddenSize % self.attentionHeads == 0",
                    "hiddenSize must be a multiple of attentionHeads; change one of them",
                    ".hiddenSize",
                )
            )
        ),
    ] = StudentConfig()


class SoftLabels(Model):
    """How the teacher's distribution is stored and how labelling is spread out."""

    kind: Literal["logits"] = "logits"
    shards: Annotated[int, Field(ge=1, le=1000, description="Pods that share the labelling.")] = 1
    parallelism: Annotated[int, Field(ge=1, le=1000, description="Shards that run at once.")] = 1


class Objective(Model):
    """alpha * T^2 * KL(teacher || student) + (1 - alpha) * CE(gold); rows without gold get the first term alone.

    For text-scoring: alpha * MSE(teacher, student) + (1 - alpha) * MSE(gold, student).
    """

    alpha: Annotated[float, Field(ge=0, le=1)] = 0.9
    temperature: Annotated[float, Field(gt=0, le=100, description="T above; 2 if absent. Scores have none.")] | None = (
        None
    )


class Control(Model):
    """The same student without the teacher: gold rows only, equal optimiser steps. Reported, never served."""

    learning_rate: Annotated[float, Field(gt=0, le=1)]


class Training(Model):
    """AdamW with a one-cycle schedule; the checkpoint with the best validation score is kept."""

    epochs: Annotated[int, Field(ge=1, le=1000, description="Passes over labelled and unlabelled rows.")] = 3
    batch_size: Annotated[int, Field(ge=1, le=4096)] = 32
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.005
    seed: Annotated[int, Field(ge=0, le=2147483647)] = 0
    checkpoint_every_steps: Annotated[int, Field(ge=1, le=1000000)] = 500
    control: Control | None = None


class GateSpec(Model):
    """What the evidence must show. A model's own gate is the floor: the stricter value of the two counts."""

    min_retention: Annotated[
        float,
        Field(
            gt=0,
            le=1,
            description="Student accuracy must exceed this share of the teacher's.",
            json_schema_extra=rules(("self <= 1.0", "write a share of 1: 0.95, not 95")),
        ),
    ] = 0.95
    incumbent_margin: Annotated[
        float,
        Field(
            ge=0,
            lt=1,
            description="Accuracy that the student may lose to the incumbent (0.01 = 1 point).",
            json_schema_extra=rules(("self < 1.0", "write a share of 1: 0.01 for one point of accuracy")),
        ),
    ] = 0.01

    @property
    def hash(self) -> str:
        """The gate's identity: it stands in the job's snapshot, in the verdict and on the model."""
        return digest_of(self.dump())


class SecretRef(Model):
    """A Secret of this namespace, given to the pods as environment variables; the operator never reads it."""

    name: Annotated[
        str,
        Field(
            min_length=1,
            max_length=253,
            json_schema_extra=rules(
                (
                    "self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')",
                    "write a Secret's name: lower-case letters, digits, dashes and dots",
                )
            ),
        ),
    ]


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


TASK_RULES = rules(
    (
        "self.task == 'text-scoring' || !has(self.dataset.columns.query)",
        "dataset.columns.query is for task text-scoring alone; remove it",
        ".dataset.columns.query",
    ),
    (
        "self.task != 'text-scoring' || !has(self.objective.temperature)",
        "objective.temperature: scores have no temperature; remove it",
        ".objective.temperature",
    ),
    (
        "self.task == 'text-classification' || !has(self.dataset.filters)"
        " || !(has(self.dataset.filters.teacherConfidence) || has(self.dataset.filters.teacherMistakes))",
        "filters.teacherConfidence and filters.teacherMistakes need label probabilities: remove them for this task",
        ".dataset.filters",
    ),
)


class DistillationJobSpec(Model):
    """The whole request. Immutable but for MUTABLE: another experiment is another job, with the same soft labels."""

    model_config = ConfigDict(json_schema_extra=TASK_RULES)

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
    teachers: Annotated[
        list[Teacher],
        Field(min_length=1, max_length=1, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
    ]
    student: Student = Student()
    dataset: Annotated[Dataset, Field(json_schema_extra=DATASET_RULES)]
    soft_labels: Annotated[
        SoftLabels,
        Field(
            json_schema_extra=rules(
                (
                    "self.parallelism <= self.shards",
                    "parallelism must not exceed shards; lower it or add shards",
                    ".parallelism",
                )
            )
        ),
    ] = SoftLabels()
    objective: Objective = Objective()
    training: Training = Training()
    gate: GateSpec = GateSpec()
    storage: Storage
    promote_to: PromoteTo | None = None
    stages: StagesSpec = StagesSpec()
