"""Before the first step: the student begins where it can learn, and the teacher's answers change what it learns."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..errors import InputRefused

ROWS = 16  # that are looked at
LEAST_SIGNAL = 1e-5  # rounding alone makes some 1e-7


def spread(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """At most ROWS of these rows, evenly from the first to the last. Raises InputRefused (NoSignal) without any."""
    if not len(rows):
        raise InputRefused(
            "NoSignal",
            "objective: no row to learn from has an answer of the teacher that counts: they are unusable, masked by"
            " maskTeacherMistakes, or teachers disagree more than maxDisagreement; loosen these or change the teacher",
        )
    return rows[np.linspace(0, len(rows) - 1, min(ROWS, len(rows))).round().astype(np.int64)]


def signal_of(gradient: Tensor, exchanged: Tensor) -> float:
    """How much of the gradient the answers decide, 0 to 1: |a - b| / (|a| + |b|). Raises InputRefused (NoSignal).

    gradient: with the teacher's answers [weights]; exchanged: with each answer at another row. A gradient without the
    teacher's term would not do for b: answers that are the same for every row change it too, and teach nothing.
    """
    sizes = float(gradient.norm() + exchanged.norm())
    signal = float((gradient - exchanged).norm()) / sizes if sizes > 0 else 0.0
    if not signal > LEAST_SIGNAL:
        raise InputRefused(
            "NoSignal",
            "objective.alpha: the teacher's answers teach nothing: exchanging them among rows changes the first"
            f" gradient by {signal:.2g} of its size; check that the teacher tells the rows of dataset.train apart,"
            " raise alpha, or set it to 0 to learn from gold alone",
        )
    return signal


@contextmanager
def kept_buffers(module: nn.Module) -> Iterator[None]:
    """What forward passes change in a module, such as running means, is afterwards as it was."""
    before = {name: buffer.clone() for name, buffer in module.named_buffers()}
    try:
        yield
    finally:
        with torch.no_grad():
            for name, buffer in module.named_buffers():
                buffer.copy_(before[name])
