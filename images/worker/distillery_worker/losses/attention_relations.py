"""Self-attention relations of MiniLMv2 (arXiv 2012.15828): how similar a layer's tokens are to each other.

Relations have the shape [positions, positions] whatever the widths are, so nothing needs to be projected.
"""

import torch
from torch import Tensor
from torch.nn import functional

from ..layers import Projected


def attention_relation_loss(student: Projected, teacher: Projected, mask: Tensor, heads: int) -> Tensor:
    """KL(teacher || student) of the query-query, key-key and value-value relations, summed: [rows] (eq. 3 to 6).

    Each is the mean over relation heads and over the row's tokens. mask: [rows, positions], 0 on padding.
    """
    losses = [relation_divergence(*pair, mask, heads) for pair in zip(student, teacher, strict=True)]
    return torch.stack(losses).sum(dim=0)


def relation_divergence(student: Tensor, teacher: Tensor, mask: Tensor, heads: int) -> Tensor:
    """KL of one kind of relation: [rows]. student, teacher: [rows, positions, width], widths divisible by heads."""
    answer, target = log_relations(student, mask, heads), log_relations(teacher, mask, heads)
    pointwise = functional.kl_div(answer, target, log_target=True, reduction="none")
    # On padding both logarithms are -inf and their difference is not a number.
    tokens = mask[:, None, :, None] * mask[:, None, None, :]
    divergence = pointwise.masked_fill(tokens == 0, 0.0).sum(dim=-1).mean(dim=1)
    return divergence.sum(dim=-1) / mask.sum(dim=-1)


def log_relations(states: Tensor, mask: Tensor, heads: int) -> Tensor:
    """log softmax(A A^T / sqrt(width of a head)) over the row's tokens: [rows, heads, positions, positions]."""
    rows, positions, width = states.shape
    split = states.view(rows, positions, heads, width // heads).transpose(1, 2)
    scores = split @ split.transpose(-1, -2) / split.shape[-1] ** 0.5
    return functional.log_softmax(scores.masked_fill(mask[:, None, None, :] == 0, float("-inf")), dim=-1)
