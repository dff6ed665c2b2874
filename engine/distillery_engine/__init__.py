"""Text in, logits out: the one engine that evaluates a student and that serves it (onnxruntime, tokenizers, numpy)."""

from .classifier import ArtifactInvalid, TextClassifier
from .tokenization import Batch, TextTokenizer

__all__ = ["ArtifactInvalid", "Batch", "TextClassifier", "TextTokenizer"]
