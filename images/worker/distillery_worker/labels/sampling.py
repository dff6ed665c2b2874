"""Random-sampling soft labels: ids drawn from the teacher's distribution (arXiv 2503.16870)."""

import hashlib

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

BLOCK = 32  # ids: a draw falls into a block first, then on an id inside it, which spares a long cumulative sum
DOUBLE_BITS = 53


def uniforms(row_key: str, seed: int, positions: int, samples: int) -> NDArray[np.float64]:
    """Numbers in [0, 1), ascending within a position: [positions, samples].

    Row and seed alone decide them, so a row's labels do not depend on shard, batch or attempt. Philox's raw stream is
    one that NumPy promises to keep.
    """
    digest = hashlib.sha256(f"{seed}\n{row_key}".encode()).digest()
    stream = np.random.Philox(key=np.frombuffer(digest, dtype="<u8", count=2))
    raw = stream.random_raw(positions * samples).reshape(positions, samples)
    return np.sort(raw >> (64 - DOUBLE_BITS), axis=1) * 2.0**-DOUBLE_BITS


def draw(logits: Tensor, numbers: Tensor, temperature: float) -> Tensor:
    """Ids by inversion of the cumulative distribution at a temperature: [positions, samples] int32, ascending.

    logits: [positions, vocabulary]; numbers: float64 [positions, samples], ascending. P(id) = softmax(logits / T)[id].
    """
    blocks = torch.softmax(in_blocks(logits.float(), temperature), dim=-1).view(len(logits), -1, BLOCK)
    mass = blocks.sum(dim=-1).double()
    ends = mass.cumsum(dim=-1)
    target = below(numbers * ends[:, -1:], ends[:, -1:])
    block = torch.searchsorted(ends, target, right=True)
    share = (target - functional.pad(ends, (1, 0)).gather(1, block)) / mass.gather(1, block)
    within = blocks.gather(1, block[..., None].expand(-1, -1, BLOCK)).double().cumsum(dim=-1)
    inside = torch.searchsorted(within, below(share[..., None] * within[..., -1:], within[..., -1:]), right=True)
    return (block * BLOCK + inside.squeeze(-1)).int()


def in_blocks(logits: Tensor, temperature: float) -> Tensor:
    """The logits at a temperature, filled up to whole blocks with ids of probability 0; a copy only where needed."""
    if temperature != 1:
        logits = logits / temperature
    missing = -logits.shape[1] % BLOCK
    return functional.pad(logits, (0, missing), value=-torch.inf) if missing else logits


def below(value: Tensor, limit: Tensor) -> Tensor:
    """The value, or the largest number under a limit that rounding let it reach: no id of probability 0 is drawn."""
    return torch.minimum(value, torch.nextafter(limit, torch.zeros_like(limit)))
