"""manifest.json: what an artifact is, and the SHA-256 of every file in it."""

from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from .digests import digest_of
from .schema import Digest, Model
from .tasks import TaskName

MANIFEST = "manifest.json"
Format = Literal["onnx-fp32", "safetensors"]


class File(Model):
    """One file of an artifact."""

    sha256: Digest
    size: Annotated[int, Field(ge=0)]


class TextPreprocessing(Model):
    """How text becomes model input; label, train, evaluate and serve all take it from here."""

    kind: Literal["text"] = "text"
    tokenizer: str = "tokenizer.json"  # a Hugging Face `tokenizers` file; truncation and padding in it are ignored
    max_length: Annotated[int, Field(ge=2, le=131072)]
    pad_token_id: Annotated[int, Field(ge=0)] = 0
    query: bool = False  # each text stands behind a query, as one pair

    def interface(self) -> dict[str, Any]:
        """What a caller relies on: the length limit, and whether there is a query."""
        return {"maxLength": self.max_length} | ({"query": True} if self.query else {})

    def files(self) -> list[str]:
        """Files of the artifact that it reads."""
        return [self.tokenizer]


class ImagePreprocessing(Model):
    """How an image becomes model input: decoded, resized, cut, and (byte * scale - mean) / std by channel.

    Label, train, evaluate and serve all take it from here.
    """

    kind: Literal["image"] = "image"
    height: Annotated[int, Field(ge=4, le=2048)]
    width: Annotated[int, Field(ge=4, le=2048)]
    # Pixels of the shorter side, before the middle is cut out; without it, images are resized to height and width.
    shortest_edge: Annotated[int, Field(ge=4, le=4096)] | None = None
    resample: Literal["nearest", "lanczos", "bilinear", "bicubic", "box", "hamming"]
    channels: Literal[1, 3]  # grey, or red, green and blue
    scale: float
    mean: Annotated[list[float], Field(min_length=1, max_length=3)]
    std: Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=1, max_length=3)]

    def interface(self) -> dict[str, Any]:
        """What a caller relies on: how much of an image the model sees."""
        return {"height": self.height, "width": self.width, "channels": self.channels}

    def files(self) -> list[str]:
        """Files of the artifact that it reads: all of it stands here."""
        return []


def kind_of(value: Any) -> str:
    """The kind of a preprocessing, as a model or as JSON; artifacts of the first version have none: text."""
    kind = value.get("kind", "text") if isinstance(value, dict) else value.kind
    return str(kind)


Preprocessing = Annotated[
    Annotated[TextPreprocessing, Tag("text")] | Annotated[ImagePreprocessing, Tag("image")], Discriminator(kind_of)
]


class Provenance(Model):
    """Where an artifact comes from."""

    teacher: Digest
    labels_key: Digest
    student_key: Digest
    job_uid: str


class ArtifactManifest(Model):
    """A student: an ONNX graph to logits float32 [batch, labels], or a folder that transformers reads.

    Of texts: input_ids and attention_mask int64 [batch, seq]. Of images: pixel_values float32 [batch, channels,
    height, width].
    """

    schema_version: Literal["distillery.dev/artifact/v1"] = "distillery.dev/artifact/v1"
    task: TaskName = "text-classification"
    format: Format = "onnx-fp32"
    labels: Annotated[list[str], Field(max_length=10000)]  # none for a score or a language model
    preprocessing: Preprocessing
    model: str = "model.onnx"
    parameters: int
    files: dict[str, File]
    provenance: Provenance

    @model_validator(mode="after")
    def check_labels(self) -> Self:
        """A classifier names at least two labels, a scorer and a language model none."""
        if (self.task in ("causal-lm", "text-scoring")) is bool(self.labels) or len(self.labels) == 1:
            raise ValueError(
                f"labels: {len(self.labels)} for task {self.task}; a classifier has two or more, every other task none"
            )
        return self

    def interface(self) -> str:
        """Digest of what a caller relies on: task, label names and their order, and what limits an input."""
        return digest_of({"task": self.task, "labels": self.labels, **self.preprocessing.interface()})
