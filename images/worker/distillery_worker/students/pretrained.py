"""Students that start from weights: layers of the teacher, or a given model."""

import copy
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from distillery_api.sources import ModelSource
from torch import nn
from transformers import AutoModelForSequenceClassification, PreTrainedModel

from ..errors import InputRefused
from ..layers import layer_at, layers_of
from ..model_folders import TOKENIZER, TOKENIZER_CONFIG, ModelFolder, fetch_folder, load_weights

FIELD = "student.model"


def fetch_initial(source: ModelSource, teacher: Path, dest: Path) -> ModelFolder:
    """Download the model that training starts from. Raises InputRefused (TokenizerMismatch) beside fetch_folder's."""
    folder = fetch_folder(source, FIELD, (TOKENIZER, TOKENIZER_CONFIG), dest)
    if tokens_of(dest / TOKENIZER) != tokens_of(teacher / TOKENIZER):
        raise InputRefused(
            "TokenizerMismatch",
            f"{FIELD}: {folder.uri}/{TOKENIZER} makes other tokens than the teacher's, so their answers cannot be"
            " compared token by token; name a model with the teacher's tokenizer",
        )
    return folder


def tokens_of(tokenizer: Path) -> dict[str, Any]:
    """A tokenizer.json without what does not change a token: the worker sets truncation and padding itself."""
    content: dict[str, Any] = json.loads(tokenizer.read_text(encoding="utf-8"))
    return {name: part for name, part in content.items() if name not in ("truncation", "padding")}


def load_initial(folder: ModelFolder, labels: dict[str, Any], seed: int) -> PreTrainedModel:
    """The given model as a classifier; a head that it lacks, or has for another number of labels, comes from the seed.

    labels: the arguments of a config that name the outputs. Raises InputRefused (WeightsCorrupt).
    """
    torch.manual_seed(seed)
    model, fresh = load_weights(AutoModelForSequenceClassification, folder.path, folder.uri, FIELD, **labels)
    body = f"{model.base_model_prefix}."
    lacking = [name for name in fresh if name.startswith(body) and ".pooler." not in name]
    if lacking:
        raise InputRefused(
            "WeightsCorrupt",
            f"{FIELD}: the weights at {folder.uri} lack {lacking[0]} or have it in another shape than config.json says;"
            " upload the model again",
        )
    return model


def keep_layers(teacher: PreTrainedModel, numbers: Sequence[int], field: str) -> PreTrainedModel:
    """A copy of the teacher with the layers of these numbers, in this order; everything else is copied as it is.

    Raises InputRefused (ModelUnsupported) where the teacher has no such layer.
    """
    kept = [layer_at(teacher, number, field) for number in numbers]
    student = copy.deepcopy(teacher)
    stack = layers_of(student, field)
    del stack[len(kept) :]
    for index, layer in enumerate(kept):
        stack[index] = copy.deepcopy(layer)
        renumber(stack[index], index)
    config = student.config
    if getattr(config, "layer_types", None):  # kinds of attention by layer
        config.layer_types = [config.layer_types[number - 1] for number in numbers]
    config.num_hidden_layers = len(kept)
    return student


def renumber(layer: nn.Module, index: int) -> None:
    """Tell a layer where it stands: caches of keys and values are kept by it."""
    for module in layer.modules():
        if hasattr(module, "layer_idx"):
            module.layer_idx = index  # type: ignore[assignment]  # nn.Module types every attribute as a tensor


def weights_digest(model: nn.Module) -> str:
    """sha256 of all weights with their names, shapes and types."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return f"sha256:{digest.hexdigest()}"
