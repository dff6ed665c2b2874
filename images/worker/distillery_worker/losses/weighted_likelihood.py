"""Cross-entropy of language models with tokens that count differently, on chunks of logits."""

import torch
from torch import Tensor
from torch.nn import functional

from .chunked import CHUNK_LOGITS, chunked_loss


def weighted_nll(
    hidden: Tensor, head: Tensor, ids: Tensor, weights: Tensor, chunk_logits: int = CHUNK_LOGITS
) -> Tensor:
    """The sum over tokens of weight * -log p(id), a scalar in nats.

    hidden: final states [tokens, width]; head: the weight [vocabulary, width] that gives logits; ids, weights: [tokens]
    """

    def partial(logits: Tensor, part: slice) -> Tensor:
        return torch.dot(weights[part], functional.cross_entropy(logits, ids[part], reduction="none"))

    return chunked_loss(hidden, head, partial, chunk_logits)
