"""Text in, logits out: the one engine that evaluates a student and that serves it (onnxruntime, tokenizers, numpy)."""

import os

# Set before onnxruntime is imported anywhere: its builds report usage to their vendor unless told not to.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

from .classifier import ArtifactInvalid, TextClassifier
from .tokenization import Batch, TextTokenizer

__all__ = ["ArtifactInvalid", "Batch", "TextClassifier", "TextTokenizer"]
