"""A loss on logits that are made from hidden states a chunk at a time: no [tokens, vocabulary] is ever whole."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

CHUNK_LOGITS = 2**22  # of one chunk: 16 MiB in float32

# Of logits float32 [n, vocabulary] of the n tokens in a slice: their part of the loss, a scalar.
PartialLoss = Callable[[Tensor, slice], Tensor]


def chunked_loss(hidden: Tensor, head: Tensor, partial: PartialLoss, chunk_logits: int = CHUNK_LOGITS) -> Tensor:
    """The sum over chunks of partial(logits, slice of tokens), with logits = hidden @ head.T. Differentiable once.

    hidden: [tokens, width]; head: [vocabulary, width]. A chunk's gradient is taken while its logits are there, as in
    Liger's fused linear losses (arXiv 2410.10989), so nothing is computed twice.
    """
    step = max(1, chunk_logits // len(head))
    parts = [slice(first, min(first + step, len(hidden))) for first in range(0, len(hidden), step)]
    if not torch.is_grad_enabled():
        return sum((partial(logits_of(hidden[part], head), part) for part in parts), hidden.new_zeros(()))
    loss: Tensor = ChunkedLoss.apply(hidden, head, partial, parts)
    return loss


class ChunkedLoss(torch.autograd.Function):
    """Keeps the gradients of hidden [tokens, width] and head [vocabulary, width] from forward to backward."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, head: Tensor, partial: PartialLoss, parts: list[slice]) -> Tensor:
        """The loss; a gradient that nobody asks for is not kept."""
        total = hidden.new_zeros((), dtype=torch.float32)
        of_hidden = torch.empty_like(hidden) if ctx.needs_input_grad[0] else None
        of_head = torch.zeros_like(head, dtype=torch.float32) if ctx.needs_input_grad[1] else None
        for part in parts:
            value, slope = with_gradient(logits_of(hidden[part], head), partial, part)
            total += value
            if of_hidden is not None:
                of_hidden[part] = slope.to(head.dtype) @ head
            if of_head is not None:
                of_head.addmm_(slope.T, hidden[part].float())
        ctx.save_for_backward(of_hidden, of_head)
        ctx.head_dtype = head.dtype
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, outer: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        """The kept gradients, times that of the loss."""
        of_hidden, of_head = ctx.saved_tensors
        scaled_head = None if of_head is None else (of_head * outer).to(ctx.head_dtype)
        return None if of_hidden is None else of_hidden * outer, scaled_head, None, None


def logits_of(hidden: Tensor, head: Tensor) -> Tensor:
    """A chunk's logits in float32, whatever the model computes in."""
    return (hidden @ head.T).float()


def with_gradient(logits: Tensor, partial: PartialLoss, part: slice) -> tuple[Tensor, Tensor]:
    """A chunk's part of the loss, and its gradient [n, vocabulary]."""
    leaf = logits.detach().requires_grad_()
    with torch.enable_grad():
        value = partial(leaf, part)
    (slope,) = torch.autograd.grad(value, leaf)
    return value.detach(), slope
