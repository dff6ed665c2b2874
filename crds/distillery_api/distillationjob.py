"""DistillationJob: one run from a teacher and data to a verdict on a student."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from . import GROUP
from .digests import digest_of
from .pods import EvaluateStage, Stage
from .schema import URI_RULES, Model, Name, ObjectName, Uri, rules
from .sources import SecretRef
from .teachers import Teachers

STAGES = ("preflight", "label", "train", "compress", "evaluate")


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


class Columns(Model):
    """Column names in the data files."""

    text: Annotated[str, Field(min_length=1, max_length=128)] = "text"
    label: Annotated[str, Field(min_length=1, max_length=128)] = "label"
    slice: (
        Annotated[str, Field(min_length=1, max_length=128, description="Decides which teacher answers a row.")] | None
    ) = None


DataFile = Annotated[
    str,
    Field(
        min_length=1,
        max_length=1024,
        json_schema_extra=rules(
            *URI_RULES,
            (
                "self.endsWith('.parquet') || self.endsWith('.csv') || self.endsWith('.jsonl')",
                "name a .parquet, .csv or .jsonl file",
            ),
        ),
    ),
]


class Dataset(Model):
    """Rows to learn from and rows to be judged on. Labels are label names of the teacher, as text."""

    train: Annotated[DataFile, Field(description="Rows with text and gold label.")]
    unlabelled: Annotated[DataFile, Field(description="Rows with text alone; the teacher labels them.")] | None = None
    test: Annotated[DataFile, Field(description="Held-out rows with text and gold label. Never trained on.")]
    columns: Columns = Columns()


class SoftLabels(Model):
    """How the teacher's distribution is stored and how labelling is spread out."""

    kind: Literal["logits"] = "logits"
    shards: Annotated[int, Field(ge=1, le=1000, description="Pods that share the labelling.")] = 1
    parallelism: Annotated[int, Field(ge=1, le=1000, description="Shards that run at once.")] = 1


class Objective(Model):
    """alpha * T^2 * KL(teacher || student) + (1 - alpha) * CE(gold); rows without gold get the first term alone."""

    alpha: Annotated[float, Field(ge=0, le=1)] = 0.9
    temperature: Annotated[float, Field(gt=0, le=100)] = 2.0
    max_disagreement: (
        Annotated[
            float,
            Field(
                ge=0,
                le=1,
                description="Rows on which the teachers disagree more, 0 to 1, are learned from gold alone.",
            ),
        ]
        | None
    ) = None


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


SPEC_RULES = rules(
    (
        "!self.teachers.exists(one, has(one.slices) && one.slices.size() > 0) || has(self.dataset.columns.slice)",
        "name in dataset.columns.slice the column whose values the teachers' slices are",
        ".dataset.columns.slice",
    ),
    (
        "!has(self.objective.maxDisagreement) || self.teachers.size() > 1",
        "objective.maxDisagreement is for several teachers; add one, or remove it",
        ".objective.maxDisagreement",
    ),
)


class DistillationJobSpec(Model):
    """The whole request. Immutable but for MUTABLE: another experiment is another job, with the same soft labels."""

    model_config = ConfigDict(json_schema_extra=SPEC_RULES)

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
    task: Literal["text-classification"]
    teachers: Teachers
    student: Student = Student()
    dataset: Annotated[
        Dataset,
        Field(
            json_schema_extra=rules(
                (
                    "self.test != self.train",
                    "test must not be the train file; name a file of held-out rows: they decide the verdict",
                    ".test",
                ),
                (
                    "!has(self.unlabelled) || self.unlabelled != self.test",
                    "unlabelled must not be the test file, or the student trains on held-out rows; name another",
                    ".unlabelled",
                ),
                (
                    "self.columns.text != self.columns.label",
                    "columns.text and columns.label must differ; name the column with the gold labels",
                    ".columns.label",
                ),
            )
        ),
    ]
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
