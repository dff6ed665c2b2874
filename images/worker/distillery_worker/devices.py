"""Where models compute: the GPU that the stage asked for, else the CPU."""

import torch


def best_device() -> torch.device:
    """The container's first CUDA device where Kubernetes gave it one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def device_of(model: torch.nn.Module) -> torch.device:
    """The device that the model's weights are on."""
    return next(model.parameters()).device
