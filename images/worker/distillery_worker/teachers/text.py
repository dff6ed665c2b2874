"""A teacher on texts: a Hugging Face folder for sequence classification with a fast tokenizer."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from distillery_api.soft_labels import SoftLabels
from distillery_api.sources import ModelSource
from distillery_engine import TextTokenizer
from torch import Tensor
from transformers import AutoModelForSequenceClassification, PreTrainedModel

from ..labels.store import LabelSet
from ..model_folders import ONNX, SAFETENSORS, TOKENIZER, TOKENIZER_CONFIG, fetch_folder
from .local import FIELD, LocalTeacher, ReadHead, load_model


@dataclass
class TextTeacher(LocalTeacher):
    """Encodes texts with its tokenizer, cut at `max_length` tokens."""

    tokenizer_digest: str
    max_length: int  # tokens
    pad_token_id: int

    def label_set(self, soft_labels: SoftLabels) -> LabelSet:
        """The outputs for texts cut at the length limit."""
        return LabelSet(
            codec=self.codec,
            teacher=self.digest,
            tokenizer=self.tokenizer_digest,
            max_length=self.max_length,
            labels=list(self.head.labels),
        )

    @cached_property
    def encoder(self) -> TextTokenizer:
        """The tokenizer that teacher and student share."""
        return TextTokenizer(self.path / TOKENIZER, self.max_length, self.pad_token_id)

    def embeddings(self) -> Tensor:
        """Token embeddings [vocabulary, hidden], for a student that starts from them."""
        weight: Tensor = self.model.get_input_embeddings().weight.detach()
        return weight

    def load(self) -> PreTrainedModel:
        """A model for sequence classification."""
        return load_model(AutoModelForSequenceClassification, self.path, self.uri)


def fetch_text_teacher(source: ModelSource, read_head: ReadHead, dest: Path) -> TextTeacher:
    """Download the folder, with weights or an ONNX file, and check it.

    Raises InputRefused, DigestMismatch's reason included, and storage errors.
    """
    folder = fetch_folder(source, FIELD, (TOKENIZER, TOKENIZER_CONFIG), dest, weights=(SAFETENSORS, ONNX))
    return TextTeacher(
        path=dest,
        uri=folder.uri,
        digest=folder.digest,
        head=read_head(folder.config, folder.uri),
        tokenizer_digest=folder.files[TOKENIZER],
        max_length=length_limit(folder.config, folder.read_json(TOKENIZER_CONFIG)),
        pad_token_id=folder.config.get("pad_token_id") or 0,
    )


def length_limit(config: dict[str, Any], tokenizer_config: dict[str, Any]) -> int:
    """Tokens per text: the tokenizer's model_max_length, or the model's positions where that is absent or larger."""
    positions = int(config.get("max_position_embeddings") or 512)
    return min(int(tokenizer_config.get("model_max_length") or positions), positions)
