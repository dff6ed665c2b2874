"""A student on images."""

import io
from pathlib import Path

from distillery_api.artifact import ArtifactManifest, ImagePreprocessing
from PIL import Image

from .images import ImageEncoder, Pixels
from .onnx_model import OnnxModel


class ImageModel(OnnxModel):
    """Preprocessing and graph."""

    takes = Pixels._fields

    def encoder_of(self, folder: Path, manifest: ArtifactManifest) -> ImageEncoder:
        """The preprocessing that the artifact describes."""
        preprocessing = manifest.preprocessing
        if not isinstance(preprocessing, ImagePreprocessing):
            raise ValueError(f"its inputs are {preprocessing.kind}s, not images")
        return ImageEncoder(preprocessing)

    @property
    def sample(self) -> bytes:
        """A black image."""
        buffer = io.BytesIO()
        Image.new("L", (8, 8)).save(buffer, "PNG")
        return buffer.getvalue()
