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
    """What is known of a model. `outputs`: labels that it names; `vocabulary`: tokens that it knows."""

    parameters: int | None = None
    outputs: int | None = None
    vocabulary: int | None = None
    unknown: str = ""  # why something is unknown


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
    )


def student_parameters(student: Mapping[str, Any], vocabulary: int | None) -> int | None:
    """Of an encoder by its configuration: embeddings, and per layer 4 h² of attention and 2 h i of feed-forward."""
    config = student.get("config")
    if config is None or vocabulary is None:
        return None
    hidden, layers, inner = (config.get(name) for name in ("hiddenSize", "layers", "intermediateSize"))
    if None in (hidden, layers, inner):
        return None
    parameters: int = vocabulary * hidden + layers * (4 * hidden**2 + 2 * hidden * inner)
    return parameters
