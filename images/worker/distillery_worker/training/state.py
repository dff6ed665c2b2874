"""What training changes in a module: the weights that are not frozen, and the buffers that are saved."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn


def trained_state(module: nn.Module) -> dict[str, Tensor]:
    """Tensors by name, each once; those of the module itself, not copies."""
    saved = module.state_dict(keep_vars=True)
    buffers = {name: buffer for name, buffer in module.named_buffers() if name in saved}
    return {**trained_parameters(module), **buffers}


def trained_parameters(module: nn.Module) -> dict[str, nn.Parameter]:
    """Parameters that are not frozen, by name."""
    return {name: parameter for name, parameter in module.named_parameters() if parameter.requires_grad}


@torch.no_grad()
def restore_state(module: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Overwrite what `trained_state` gives, all of it. Raises KeyError when a tensor is missing."""
    for name, tensor in trained_state(module).items():
        tensor.copy_(state[name])
