"""A teacher in a Hugging Face folder, checked before anything runs on it."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedModel

from ..devices import device_of
from ..errors import InputRefused
from ..labels.codecs import Codec, LogitsCodec
from ..labels.segments import RowLabels
from ..model_folders import load_weights
from ..tasks.head import Head
from .teacher import BatchTeacher, Encoder, outputs_of

FIELD = "teachers[0].model"
ReadHead = Callable[[dict[str, Any], str], Head]  # config.json and the uri that names it in messages


@dataclass
class LocalTeacher(BatchTeacher):
    """A downloaded folder whose static files have been read; the weights are loaded when they are first needed."""

    path: Path
    uri: str
    digest: str
    head: Head

    @property
    @abstractmethod
    def encoder(self) -> Encoder:
        """What turns rows into model input, for teacher and student."""

    @abstractmethod
    def load(self) -> PreTrainedModel:
        """The model from the folder. Raises InputRefused (WeightsCorrupt)."""

    @cached_property
    def model(self) -> PreTrainedModel:
        """The weights. Raises InputRefused (WeightsCorrupt)."""
        return self.load()

    @property
    def codec(self) -> LogitsCodec:
        """All outputs of a row."""
        return LogitsCodec(alignment="one position per row", vocabulary=self.head.outputs)

    def labels(
        self, codec: Codec, keys: Sequence[str], inputs: Sequence[Any], done: Callable[[int], None]
    ) -> list[RowLabels]:
        """Its outputs, one position a row. Raises InputRefused (WeightsCorrupt) for one that is NaN or infinite."""
        outputs = self.answers(inputs, done)
        check_finite(outputs, self.uri)
        return [{"logits": row[None]} for row in outputs]

    def answers(self, inputs: Sequence[Any], done: Callable[[int], None]) -> NDArray[np.float32]:
        """Outputs float32 [inputs, outputs]; rows of similar length share a batch."""
        return outputs_of(self.predict, self.encoder, inputs, self.head.outputs, done)

    def predict(self, batch: NamedTuple) -> NDArray[np.float32]:
        """Outputs float32 [rows, outputs] of encoded rows."""
        return predict(self.model, batch)

    def parameters(self) -> int:
        """How many weights it has."""
        return sum(parameter.numel() for parameter in self.model.parameters())


def load_model(auto: Any, path: Path, uri: str) -> PreTrainedModel:
    """The model of an Auto class, in float32 and evaluation mode. Raises InputRefused (WeightsCorrupt)."""
    model, lacking = load_weights(auto, path, uri, FIELD)
    if lacking:
        raise InputRefused(
            "WeightsCorrupt",
            f"teachers[0].model: the weights at {uri} lack {lacking[0]} or have it in another shape"
            " than config.json says; fine-tune the model for classification and upload it again",
        )
    return model


def check_finite(numbers: NDArray[np.float32], uri: str) -> None:
    """Raise InputRefused (WeightsCorrupt) where one is NaN or infinite."""
    if not np.isfinite(numbers).all():
        raise InputRefused(
            "WeightsCorrupt", f"teachers: {uri} answers NaN or infinity for some rows; upload sound weights"
        )


@torch.inference_mode()
def predict(model: torch.nn.Module, batch: NamedTuple) -> NDArray[np.float32]:
    """Outputs float32 [rows, outputs] of a batch whose fields are named like the model's inputs."""
    logits: NDArray[np.float32] = model(**on_device(batch, device_of(model))).logits.float().cpu().numpy()
    return logits


def on_device(batch: NamedTuple, device: torch.device) -> dict[str, Tensor]:
    """The batch as tensors, by the names of the model's inputs."""
    return {name: torch.from_numpy(array).to(device) for name, array in batch._asdict().items()}
