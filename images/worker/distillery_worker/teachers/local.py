"""The teacher: a Hugging Face folder, checked before anything runs on it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from distillery_api.student import ModelSource
from distillery_engine import TextTokenizer
from numpy.typing import NDArray
from torch import Tensor
from transformers import AutoModelForSequenceClassification, PreTrainedModel

from ..devices import device_of
from ..errors import InputRefused
from ..labels.store import Codec
from ..model_folders import TOKENIZER, TOKENIZER_CONFIG, fetch_folder, load_weights
from ..tasks.head import Head
from .teacher import Teacher, outputs_of

FIELD = "teachers[0].model"
ReadHead = Callable[[dict[str, Any], str], Head]  # config.json and the uri that names it in messages


@dataclass
class LocalTeacher(Teacher):
    """A downloaded folder whose static files have been read; the weights are loaded when they are first needed."""

    path: Path
    uri: str
    digest: str
    tokenizer_digest: str
    head: Head
    max_length: int  # tokens
    pad_token_id: int

    def codec(self, kind: str) -> Codec:
        """How this teacher's soft labels are stored."""
        return Codec(
            teacher=self.digest,
            tokenizer=self.tokenizer_digest,
            kind=kind,
            max_length=self.max_length,
            labels=list(self.head.labels),
        )

    @cached_property
    def encoder(self) -> TextTokenizer:
        """The tokenizer that teacher and student share."""
        return TextTokenizer(self.path / TOKENIZER, self.max_length, self.pad_token_id)

    @cached_property
    def model(self) -> PreTrainedModel:
        """The weights. Raises InputRefused (WeightsCorrupt)."""
        return load_model(self.path, self.uri)

    def answers(self, inputs: Sequence[Any], done: Callable[[int], None]) -> NDArray[np.float32]:
        """Outputs float32 [inputs, outputs]; rows of similar length share a batch."""
        return outputs_of(lambda batch: predict(self.model, batch), self.encoder, inputs, self.head.outputs, done)


def fetch_teacher(source: ModelSource, read_head: ReadHead, dest: Path) -> LocalTeacher:
    """Download the folder and check it. Raises InputRefused, DigestMismatch's reason included, and storage errors."""
    folder = fetch_folder(source, FIELD, dest)
    return LocalTeacher(
        path=dest,
        uri=source.uri,
        digest=folder.digest,
        tokenizer_digest=folder.files[TOKENIZER],
        head=read_head(folder.config, source.uri),
        max_length=length_limit(folder.config, folder.read_json(TOKENIZER_CONFIG)),
        pad_token_id=folder.config.get("pad_token_id") or 0,
    )


def length_limit(config: dict[str, Any], tokenizer_config: dict[str, Any]) -> int:
    """Tokens per text: the tokenizer's model_max_length, or the model's positions where that is absent or larger."""
    positions = int(config.get("max_position_embeddings") or 512)
    return min(int(tokenizer_config.get("model_max_length") or positions), positions)


def load_model(path: Path, uri: str) -> PreTrainedModel:
    """The model with all its weights, in float32 and evaluation mode. Raises InputRefused (WeightsCorrupt)."""
    model, lacking = load_weights(AutoModelForSequenceClassification, path, uri, FIELD)
    if lacking:
        raise InputRefused(
            "WeightsCorrupt",
            f"teachers[0].model: the weights at {uri} lack {lacking[0]} or have it in another shape"
            " than config.json says; fine-tune the model for classification and upload it again",
        )
    return model


@torch.inference_mode()
def predict(model: torch.nn.Module, batch: NamedTuple) -> NDArray[np.float32]:
    """Outputs float32 [rows, outputs] of a batch whose fields are named like the model's inputs."""
    logits: NDArray[np.float32] = model(**on_device(batch, device_of(model))).logits.float().cpu().numpy()
    return logits


def on_device(batch: NamedTuple, device: torch.device) -> dict[str, Tensor]:
    """The batch as tensors, by the names of the model's inputs."""
    return {name: torch.from_numpy(array).to(device) for name, array in batch._asdict().items()}
