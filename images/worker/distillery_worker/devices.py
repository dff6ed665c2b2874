"""Where models compute: the GPU that the stage asked for, else the CPU."""

import os

import torch


def best_device() -> torch.device:
    """The container's CUDA device of this process, the first one for a process alone; the CPU where there is none."""
    local = int(os.environ.get("LOCAL_RANK", "0"))
    return torch.device("cuda", local) if torch.cuda.is_available() else torch.device("cpu")


def device_of(model: torch.nn.Module) -> torch.device:
    """The device that the model's weights are on."""
    return next(model.parameters()).device
