"""Inputs in, numbers out: the one engine that evaluates and serves a student.

It stands on onnxruntime, tokenizers, Pillow and numpy.
"""

import os

# Set before onnxruntime is imported anywhere: its builds report usage to their vendor unless told not to.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

from .image_model import ImageModel
from .images import ImageEncoder, ImageUnreadable, Pixels, decode
from .onnx_model import ArtifactInvalid, OnnxModel
from .opening import open_model
from .text_model import TextModel
from .tokenization import Batch, Text, TextTokenizer

__all__ = [
    "ArtifactInvalid",
    "Batch",
    "ImageEncoder",
    "ImageModel",
    "ImageUnreadable",
    "OnnxModel",
    "Pixels",
    "Text",
    "TextModel",
    "TextTokenizer",
    "decode",
    "open_model",
]
