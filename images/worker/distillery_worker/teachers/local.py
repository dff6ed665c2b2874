"""The teacher: a Hugging Face folder, checked before anything runs on it."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from distillery_api.digests import digest_files
from distillery_api.sources import ModelSource
from distillery_engine import TextTokenizer
from distillery_storage import download_folder
from numpy.typing import NDArray
from torch import Tensor
from transformers import AutoModelForSequenceClassification, PretrainedConfig, PreTrainedModel

from ..data.files import first_line
from ..devices import best_device, device_of
from ..errors import InputRefused
from ..labels.store import Codec
from ..tasks.head import Head
from .teacher import BatchTeacher, outputs_of

CONFIG, TOKENIZER, TOKENIZER_CONFIG = "config.json", "tokenizer.json", "tokenizer_config.json"
ReadHead = Callable[[dict[str, Any], str], Head]  # config.json and the uri that names it in messages
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt")


@dataclass
class LocalTeacher(BatchTeacher):
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

    def embeddings(self) -> Tensor:
        """Token embeddings [vocabulary, hidden], for a student that starts from them."""
        weight: Tensor = self.model.get_input_embeddings().weight.detach()
        return weight

    def answers(self, inputs: Sequence[Any], done: Callable[[int], None]) -> NDArray[np.float32]:
        """Outputs float32 [inputs, outputs]; rows of similar length share a batch."""
        return outputs_of(self.predict, self.encoder, inputs, self.head.outputs, done)

    def predict(self, batch: NamedTuple) -> NDArray[np.float32]:
        """Outputs float32 [rows, outputs] of encoded rows."""
        return predict(self.model, batch)

    def parameters(self) -> int:
        """How many weights it has."""
        return sum(parameter.numel() for parameter in self.model.parameters())


def fetch_teacher(source: ModelSource, read_head: ReadHead, dest: Path) -> LocalTeacher:
    """Download the folder and check it. Raises InputRefused, DigestMismatch's reason included, and storage errors."""
    files = download_folder(source.uri, dest)
    digest = digest_files(files)
    if source.digest and source.digest != digest:
        raise InputRefused(
            "DigestMismatch",
            f"teachers[0].model: {source.uri} is {digest}, not {source.digest};"
            " the folder was changed: restore it, or set the digest you mean",
        )
    check_formats(files, source.uri)
    config = read_json(dest / CONFIG, source.uri)
    if "auto_map" in config:
        raise InputRefused(
            "UnsafeFormat",
            f"teachers[0].model: {source.uri} needs Python code of its own (auto_map); use a built-in model",
        )
    return LocalTeacher(
        path=dest,
        uri=source.uri,
        digest=digest,
        tokenizer_digest=files[TOKENIZER],
        head=read_head(config, source.uri),
        max_length=length_limit(config, read_json(dest / TOKENIZER_CONFIG, source.uri)),
        pad_token_id=config.get("pad_token_id") or 0,
    )


def check_formats(files: dict[str, str], uri: str) -> None:
    """A config, a fast tokenizer and safetensors weights, and no pickle in their place."""
    if not any(name.endswith((".safetensors", ".onnx")) for name in files):
        pickles = [name for name in files if name.endswith(PICKLES)]
        if pickles:
            raise InputRefused(
                "UnsafeFormat",
                f"teachers[0].model: {uri} has its weights in {pickles[0]}, a pickle that can run code when it is"
                " read; save the model with safetensors",
            )
        raise InputRefused(
            "ModelUnsupported", f"teachers[0].model: {uri} has no .safetensors weights and no .onnx file; add them"
        )
    for name in (CONFIG, TOKENIZER, TOKENIZER_CONFIG):
        if name not in files:
            raise InputRefused(
                "ModelUnsupported", f"teachers[0].model: {uri} has no {name}; save model and fast tokenizer there"
            )


def read_json(path: Path, uri: str) -> dict[str, Any]:
    """A JSON object of the folder."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputRefused(
            "ModelUnsupported", f"teachers[0].model: {uri}/{path.name} is not JSON: {first_line(error)}; save it again"
        ) from error
    if not isinstance(value, dict):
        raise InputRefused("ModelUnsupported", f"teachers[0].model: {uri}/{path.name} is not an object; save it again")
    return value


def length_limit(config: dict[str, Any], tokenizer_config: dict[str, Any]) -> int:
    """Tokens per text: the tokenizer's model_max_length, or the model's positions where that is absent or larger."""
    positions = int(config.get("max_position_embeddings") or 512)
    return min(int(tokenizer_config.get("model_max_length") or positions), positions)


def load_model(folder: Path, uri: str) -> PreTrainedModel:
    """The model with its weights, in float32 and evaluation mode. Raises InputRefused (WeightsCorrupt)."""
    try:
        model, report = AutoModelForSequenceClassification.from_pretrained(
            folder,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            dtype=torch.float32,
            output_loading_info=True,
        )
    except Exception as error:  # whatever the libraries raise, the folder does not load
        raise InputRefused(
            "WeightsCorrupt",
            f"teachers[0].model: {uri} does not load: {first_line(error)}; upload the model again",
        ) from error
    if report["missing_keys"] or report["mismatched_keys"]:
        lacking = sorted(map(str, [*report["missing_keys"], *report["mismatched_keys"]]))
        raise InputRefused(
            "WeightsCorrupt",
            f"teachers[0].model: the weights at {uri} lack {lacking[0]} or have it in another shape"
            " than config.json says; fine-tune the model for classification and upload it again",
        )
    if any(not bool(torch.isfinite(tensor).all()) for tensor in model.parameters()):
        raise InputRefused(
            "WeightsCorrupt", f"teachers[0].model: the weights at {uri} hold NaN or infinity; upload sound ones"
        )
    loaded: PreTrainedModel = model.eval().to(best_device())
    return loaded


def config_of(model: PreTrainedModel) -> PretrainedConfig:
    """The model's configuration, typed."""
    config: PretrainedConfig = model.config
    return config


@torch.inference_mode()
def predict(model: torch.nn.Module, batch: NamedTuple) -> NDArray[np.float32]:
    """Outputs float32 [rows, outputs] of a batch whose fields are named like the model's inputs."""
    logits: NDArray[np.float32] = model(**on_device(batch, device_of(model))).logits.float().cpu().numpy()
    return logits


def on_device(batch: NamedTuple, device: torch.device) -> dict[str, Tensor]:
    """The batch as tensors, by the names of the model's inputs."""
    return {name: torch.from_numpy(array).to(device) for name, array in batch._asdict().items()}
