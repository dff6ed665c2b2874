"""The objective of `objective.py` for language models: per token, on chunks of logits."""

import torch
from torch import Tensor
from torch.nn import functional

from .chunked import CHUNK_LOGITS, chunked_loss
from .objective import NO_GOLD
from .token_targets import TokenTargets


def token_objective(
    hidden: Tensor,
    head: Tensor,
    targets: TokenTargets,
    weights: Tensor,
    gold: Tensor,
    alpha: float,
    temperature: float,
    chunk_logits: int = CHUNK_LOGITS,
) -> Tensor:
    """alpha * T^2 * D(teacher, student) + (1 - alpha) * CE(gold), each term the mean over its own tokens.

    hidden: the student's final states [tokens, width]; head: the weight [vocabulary, width] that gives its logits;
    weights [tokens]: a token's share in the first term, 0 where the teacher does not count; gold: next token ids
    [tokens], NO_GOLD where there is none. A term without tokens is 0.
    """
    known = gold != NO_GOLD
    soft = alpha * temperature**2 * share(weights)
    hard = (1 - alpha) * share(known.to(weights.dtype))
    used = ((soft > 0) | (hard > 0)).nonzero().squeeze(1)  # prompt and padding cost nothing

    def partial(logits: Tensor, part: slice) -> Tensor:
        tokens = used[part]
        log_probs = torch.log_softmax(logits, dim=-1)
        nll = functional.nll_loss(log_probs, gold[tokens], ignore_index=NO_GOLD, reduction="none")
        if alpha == 0:
            return torch.dot(hard[tokens], nll)
        tempered = log_probs if temperature == 1 else torch.log_softmax(logits / temperature, dim=-1)
        taught = targets.loss(tempered, tokens, temperature)
        return torch.dot(soft[tokens], taught) + torch.dot(hard[tokens], nll)

    return chunked_loss(hidden[used], head, partial, chunk_logits)


def share(weights: Tensor) -> Tensor:
    """Each token's part of the sum [tokens]; all 0 where the sum is."""
    return weights / weights.sum().clamp(min=torch.finfo(weights.dtype).tiny)
