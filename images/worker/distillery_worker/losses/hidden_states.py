"""Hidden states: the student's layers, projected to the teacher's width, against the teacher's layers."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Projections(nn.Module):
    """One learned linear map for each pair of layers whose widths differ; where they are equal there is none.

    widths: (student, teacher) of each pair. The maps are trained with the student and are no part of it.
    """

    def __init__(self, widths: Sequence[tuple[int, int]], seed: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)  # the student's weights must not depend on this draw
        self.maps = nn.ModuleList(projection(student, teacher, generator) for student, teacher in widths)

    def forward(self, index: int, states: Tensor) -> Tensor:
        """States [rows, positions, student width] of pair `index` in the teacher's width."""
        projected: Tensor = self.maps[index](states)
        return projected


def projection(student: int, teacher: int, generator: torch.Generator) -> nn.Module:
    """A linear map without bias that keeps the variance of its inputs, or the identity."""
    if student == teacher:
        return nn.Identity()
    linear = nn.Linear(student, teacher, bias=False)
    with torch.no_grad():
        linear.weight.copy_(torch.randn(teacher, student, generator=generator) / student**0.5)
    return linear


def hidden_state_loss(student: Tensor, teacher: Tensor, mask: Tensor) -> Tensor:
    """Mean squared error of each row over its tokens and the width: [rows] (TinyBERT, arXiv 1909.10351, eq. 8).

    student, teacher: [rows, positions, width]; mask: [rows, positions], 0 on padding.
    """
    squared = (student - teacher).square().mean(dim=-1)
    return (squared * mask).sum(dim=-1) / mask.sum(dim=-1)
