"""Data-parallel training: every process has the whole model and a share of each batch, and gradients are summed.

Not torch's DistributedDataParallel, whose messages go out during the backward pass: a process that runs out of memory
repeats its share in smaller parts, and the others would wait for it in another order.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor, nn

from ..errors import PeerLost

PATIENCE = timedelta(minutes=30)  # while the first process validates, or uploads a checkpoint


@dataclass(frozen=True)
class Ranks:
    """This process among those that train one model."""

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether it is the one that validates and writes."""
        return self.rank == 0

    def share(self, units: int) -> NDArray[np.int64]:
        """Numbers of this process's units of a batch; those of all processes together are each unit once."""
        return np.arange(self.rank, units, self.size)

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace every gradient by its sum over the processes; a weight that none has a gradient for stays without."""
        if self.size == 1:
            return
        given = list(parameters)
        present = given[0].new_tensor([float(weight.grad is not None) for weight in given])
        parts = [weight.new_zeros(weight.shape) if weight.grad is None else weight.grad for weight in given]
        message = torch.cat([present, *(part.flatten() for part in parts)])
        exchange(dist.all_reduce, message)
        present, *total = torch.split(message, [len(given), *(weight.numel() for weight in given)])
        for weight, gradient, count in zip(given, total, present.tolist(), strict=True):
            weight.grad = gradient.view_as(weight) if count else None

    def sum(self, mine: float, device: torch.device) -> float:
        """The sum over the processes, which all get it."""
        if self.size == 1:
            return mine
        total = torch.tensor(float(mine), device=device)
        exchange(dist.all_reduce, total)
        return float(total)

    def copy_first(self, tensors: Iterable[Tensor]) -> None:
        """Overwrite the tensors by those of the first process."""
        if self.size > 1:
            for tensor in tensors:
                exchange(dist.broadcast, tensor.detach(), src=0)

    def wait(self) -> None:
        """Wait until every process has come here."""
        if self.size > 1:
            exchange(dist.barrier)


def exchange(collective: Callable[..., object], *arguments: Any, **options: Any) -> None:
    """Carry out a collective of torch.distributed. Raises PeerLost."""
    try:
        collective(*arguments, **options)
    except RuntimeError as error:
        raise PeerLost(error) from error


@contextmanager
def joined() -> Iterator[Ranks]:
    """The processes that torchrun's environment tells of, connected; this one alone without it. Raises PeerLost."""
    if "WORLD_SIZE" not in os.environ:
        yield Ranks()
        return
    exchange(dist.init_process_group, "nccl" if torch.cuda.is_available() else "gloo", timeout=PATIENCE)
    try:
        yield Ranks(dist.get_rank(), dist.get_world_size())
    finally:
        dist.destroy_process_group()
