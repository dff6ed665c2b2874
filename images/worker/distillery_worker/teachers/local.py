"""The teacher: a Hugging Face folder, checked before anything runs on it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from distillery_api.digests import digest_files
from distillery_api.distillationjob import ModelSource
from distillery_engine import Batch, TextTokenizer
from distillery_storage import download_folder
from numpy.typing import NDArray
from transformers import AutoModelForSequenceClassification, PretrainedConfig, PreTrainedModel

from ..data.files import first_line
from ..devices import best_device, device_of
from ..errors import InputRefused
from ..labels.store import Codec

CONFIG, TOKENIZER, TOKENIZER_CONFIG = "config.json", "tokenizer.json", "tokenizer_config.json"
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt")


@dataclass(frozen=True)
class TeacherFolder:
    """A downloaded teacher whose static files have been read."""

    path: Path
    digest: str
    tokenizer_digest: str
    labels: tuple[str, ...]
    max_length: int  # tokens
    pad_token_id: int

    def codec(self, kind: str) -> Codec:
        """How this teacher's soft labels are stored."""
        return Codec(
            teacher=self.digest,
            tokenizer=self.tokenizer_digest,
            kind=kind,
            max_length=self.max_length,
            labels=list(self.labels),
        )

    def tokenizer(self) -> TextTokenizer:
        """The tokenizer that teacher and student share."""
        return TextTokenizer(self.path / TOKENIZER, self.max_length, self.pad_token_id)


def fetch_teacher(source: ModelSource, dest: Path) -> TeacherFolder:
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
    return TeacherFolder(
        path=dest,
        digest=digest,
        tokenizer_digest=files[TOKENIZER],
        labels=label_names(config, source.uri),
        max_length=length_limit(config, read_json(dest / TOKENIZER_CONFIG, source.uri)),
        pad_token_id=config.get("pad_token_id") or 0,
    )


def check_formats(files: dict[str, str], uri: str) -> None:
    """A config, a fast tokenizer and safetensors weights, and no pickle in their place."""
    if not any(name.endswith(".safetensors") for name in files):
        pickles = [name for name in files if name.endswith(PICKLES)]
        if pickles:
            raise InputRefused(
                "UnsafeFormat",
                f"teachers[0].model: {uri} has its weights in {pickles[0]}, a pickle that can run code when it is"
                " read; save the model with safetensors",
            )
        raise InputRefused("ModelUnsupported", f"teachers[0].model: {uri} has no .safetensors weights; add them")
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


def label_names(config: dict[str, Any], uri: str) -> tuple[str, ...]:
    """Label names in the order of their ids."""
    if "auto_map" in config:
        raise InputRefused(
            "UnsafeFormat", f"teachers[0].model: {uri} needs Python code of its own (auto_map); use a built-in model"
        )
    by_id = {int(number): str(name) for number, name in (config.get("id2label") or {}).items()}
    names = tuple(by_id.get(number, "") for number in range(len(by_id)))
    if len(names) < 2 or "" in names or len(set(names)) < len(names):
        raise InputRefused(
            "ModelUnsupported",
            f"teachers[0].model: id2label in {uri}/config.json must name at least two different labels, ids from 0 up",
        )
    return names


def length_limit(config: dict[str, Any], tokenizer_config: dict[str, Any]) -> int:
    """Tokens per text: the tokenizer's model_max_length, or the model's positions where that is absent or larger."""
    positions = int(config.get("max_position_embeddings") or 512)
    return min(int(tokenizer_config.get("model_max_length") or positions), positions)


def load_teacher(folder: TeacherFolder, uri: str) -> PreTrainedModel:
    """The model with its weights, in float32 and evaluation mode. Raises InputRefused (WeightsCorrupt)."""
    try:
        model, report = AutoModelForSequenceClassification.from_pretrained(
            folder.path,
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
def predict(model: torch.nn.Module, batch: Batch) -> NDArray[np.float32]:
    """Logits float32 [rows, labels] of tokenized rows."""
    device = device_of(model)
    output = model(
        input_ids=torch.from_numpy(batch.input_ids).to(device),
        attention_mask=torch.from_numpy(batch.attention_mask).to(device),
    )
    logits: NDArray[np.float32] = output.logits.float().cpu().numpy()
    return logits
