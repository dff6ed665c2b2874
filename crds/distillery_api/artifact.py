"""manifest.json: what an artifact is, and the SHA-256 of every file in it."""

from typing import Annotated, Literal

from pydantic import Field

from .digests import digest_of
from .schema import Digest, Model

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


class Provenance(Model):
    """Where an artifact comes from."""

    teacher: Digest
    labels_key: Digest
    student_key: Digest
    job_uid: str


class ArtifactManifest(Model):
    """An ONNX student: input_ids and attention_mask int64 [batch, seq] to logits float32 [batch, labels]."""

    schema_version: Literal["distillery.dev/artifact/v1"] = "distillery.dev/artifact/v1"
    task: Literal["text-classification"] = "text-classification"
    format: Literal["onnx-fp32"] = "onnx-fp32"
    labels: Annotated[list[str], Field(min_length=2, max_length=10000)]
    preprocessing: Preprocessing
    model: str = "model.onnx"
    parameters: int
    files: dict[str, File]
    provenance: Provenance

    def interface(self) -> str:
        """Digest of what a caller relies on: task, label names and their order, and the length limit."""
        return digest_of({"task": self.task, "labels": self.labels, "maxLength": self.preprocessing.max_length})
