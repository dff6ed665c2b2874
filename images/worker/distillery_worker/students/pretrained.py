"""Students that start from weights: layers of the teacher, or a given model."""

import copy
import hashlib
from collections.abc import Sequence

import torch
from torch import nn
from transformers import PreTrainedModel

from ..layers import layer_at, layers_of


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
            module.layer_idx = index


def weights_digest(model: nn.Module) -> str:
    """sha256 of all weights with their names, shapes and types."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return f"sha256:{digest.hexdigest()}"
