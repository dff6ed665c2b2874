"""Inputs in, numbers out: the one engine that evaluates and serves a student (onnxruntime, tokenizers, numpy)."""

import os

# Set before onnxruntime is imported anywhere: its builds report usage to their vendor unless told not to.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

from .text_model import ArtifactInvalid, TextModel
from .tokenization import Batch, Text, TextTokenizer

__all__ = ["ArtifactInvalid", "Batch", "Text", "TextModel", "TextTokenizer"]
