"""Which model an artifact is."""

from pathlib import Path

from distillery_api.artifact import ArtifactManifest

from .image_model import ImageModel
from .onnx_model import OnnxModel
from .text_model import TextModel

MODELS: dict[str, type[OnnxModel]] = {"text": TextModel, "image": ImageModel}


def open_model(folder: Path, manifest: ArtifactManifest, threads: int = 1) -> OnnxModel:
    """The artifact's model, by the kind of its inputs. Raises ArtifactInvalid."""
    return MODELS[manifest.preprocessing.kind](folder, manifest, threads)
