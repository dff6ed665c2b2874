"""Parameters of models before they are loaded: from a folder's weight files, or from a student's configuration."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from distillery_storage import StorageError, open_prefix

REPOSITORIES = ("hf://", "oci://")
WIDTHS = {"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2}  # bytes of a parameter


@dataclass(frozen=True)
class ModelFolder:
    """What is known of a model. `outputs`: labels that it names; `vocabulary`: tokens; `hidden`: its states' width."""

    parameters: int | None = None
    outputs: int | None = None
    vocabulary: int | None = None
    hidden: int | None = None
    layers: int | None = None
    unknown: str = ""  # why something is unknown

    def with_layers(self, kept: int) -> int | None:
        """Parameters of a copy that keeps that many layers, and the embeddings."""
        if self.parameters is None or self.vocabulary is None or self.hidden is None or not self.layers:
            return None
        embeddings = self.vocabulary * self.hidden
        return embeddings + (self.parameters - embeddings) * kept // self.layers


def measure_model(uri: str) -> ModelFolder:
    """By config.json and the sizes of *.safetensors. Never raises for what storage or the folder is like."""
    if uri.startswith(REPOSITORIES):
        return ModelFolder(unknown=f"{uri}: its size is not looked up; a copy in storage would tell it")
    try:
        prefix = open_prefix(uri)
        config = json.loads(prefix.read("config.json"))
        sizes = [entry.size for entry in prefix.entries() if entry.path.endswith(".safetensors")]
    except (StorageError, ValueError) as error:
        return ModelFolder(unknown=(str(error).splitlines() or [type(error).__name__])[0])
    if not isinstance(config, dict):
        return ModelFolder(unknown=f"{uri}/config.json: is no JSON object")
    width = WIDTHS.get(str(config.get("dtype") or config.get("torch_dtype") or "float32"))
    return ModelFolder(
        parameters=sum(sizes) // width if sizes and width else None,
        outputs=len(config.get("id2label") or ()) or None,
        vocabulary=config.get("vocab_size"),
        hidden=config.get("hidden_size"),
        layers=config.get("num_hidden_layers"),
    )


def student_parameters(student: Mapping[str, Any], teacher: ModelFolder | None, task: str) -> int | None:
    """Of a given model by its files, of layers of the teacher by their share, and of a configuration by its sizes."""
    if model := student.get("model"):
        return measure_model(model["uri"]).parameters
    if teacher is None:
        return None
    if layers := student.get("from"):
        return teacher.with_layers(len(layers["layers"]))
    return configured_parameters(student.get("config"), teacher.vocabulary, task)


def configured_parameters(config: Mapping[str, int] | None, vocabulary: int | None, task: str) -> int | None:
    """Embeddings, and per layer 4 h² of attention and 2 h i of feed-forward (a language model's has gates: 3 h i)."""
    if config is None or vocabulary is None:
        return None
    hidden, inner = config["hiddenSize"], config["intermediateSize"]
    matrices = 3 if task == "causal-lm" else 2
    return vocabulary * hidden + config["layers"] * (4 * hidden**2 + matrices * hidden * inner)
