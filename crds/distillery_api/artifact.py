"""manifest.json: what an artifact is, and the SHA-256 of every file in it."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from .digests import digest_of
from .schema import Digest, Model
from .tasks import TaskName

MANIFEST = "manifest.json"


class File(Model):
    """One file of an artifact."""

    sha256: Digest
    size: Annotated[int, Field(ge=0)]


class Preprocessing(Model):
    """How text becomes model input; label, train, evaluate and serve all take it from here."""

    tokenizer: str = "tokenizer.json"  # a Hugging Face `tokenizers` file; truncation and padding in it are ignored
    max_length: Annotated[int, Field(ge=2, le=8192)]
    pad_token_id: Annotated[int, Field(ge=0)] = 0
    query: bool = False  # each text stands behind a query, as one pair


class Provenance(Model):
    """Where an artifact comes from."""

    teacher: Digest
    labels_key: Digest
    student_key: Digest
    job_uid: str


class ArtifactManifest(Model):
    """An ONNX student: input_ids and attention_mask int64 [batch, seq] to logits float32 [batch, labels].

    A scoring student has no labels, and one number in their place.
    """

    schema_version: Literal["distillery.dev/artifact/v1"] = "distillery.dev/artifact/v1"
    task: TaskName = "text-classification"
    format: Literal["onnx-fp32"] = "onnx-fp32"
    labels: Annotated[list[str], Field(max_length=10000)]  # none for a score
    preprocessing: Preprocessing
    model: str = "model.onnx"
    parameters: int
    files: dict[str, File]
    provenance: Provenance

    @model_validator(mode="after")
    def check_labels(self) -> Self:
        """A classifier names at least two labels, a scorer none."""
        scores = self.task == "text-scoring"
        if scores is bool(self.labels) or (not scores and len(self.labels) < 2):
            raise ValueError(
                f"labels: {len(self.labels)} for task {self.task}; a classifier has two or more, a scorer none"
            )
        return self

    def interface(self) -> str:
        """Digest of what a caller relies on: task, label names and their order, the inputs and their length limit."""
        what: dict[str, Any] = {
            "task": self.task, "labels": self.labels, "maxLength": self.preprocessing.max_length,
        }  # fmt: skip
        return digest_of(what | ({"query": True} if self.preprocessing.query else {}))
