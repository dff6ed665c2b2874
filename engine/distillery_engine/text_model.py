"""A student on texts."""

from pathlib import Path

from distillery_api.artifact import ArtifactManifest, TextPreprocessing

from .onnx_model import OnnxModel
from .tokenization import Batch, Text, TextTokenizer


class TextModel(OnnxModel):
    """Tokenizer and graph; texts of a batch are padded to the longest."""

    takes = Batch._fields
    sample: Text = "warm up"

    def encoder_of(self, folder: Path, manifest: ArtifactManifest) -> TextTokenizer:
        """The artifact's tokenizer."""
        preprocessing = manifest.preprocessing
        if not isinstance(preprocessing, TextPreprocessing):
            raise ValueError(f"its inputs are {preprocessing.kind}s, not texts")
        if preprocessing.query:
            self.sample = ("warm", "up")
        return TextTokenizer(folder / preprocessing.tokenizer, preprocessing.max_length, preprocessing.pad_token_id)
