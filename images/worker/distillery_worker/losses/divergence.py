"""Divergences between the teacher's and the student's distribution. On dense logits all three are exact."""

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

Divergence = Literal["forward", "reverse", "jsd"]


def divergence(student: Tensor, teacher: Tensor, temperature: float, kind: Divergence) -> Tensor:
    """T^2 times a divergence at temperature T: [rows]; T^2 keeps the gradient's size independent of T.

    forward: KL(teacher || student) covers what the teacher answers; reverse: KL(student || teacher) seeks its mode;
    jsd: the mean of both to their mixture (arXiv 2306.13649, eq. 1 with beta 1/2).
    student, teacher: logits [rows, labels]
    """
    answer = functional.log_softmax(student / temperature, dim=-1)
    target = functional.log_softmax(teacher / temperature, dim=-1)
    match kind:
        case "forward":
            value = kl(target, answer)
        case "reverse":
            value = kl(answer, target)
        case "jsd":
            mixture = torch.logaddexp(answer, target) - math.log(2)
            value = (kl(target, mixture) + kl(answer, mixture)) / 2
    return temperature**2 * value


def kl(first: Tensor, second: Tensor) -> Tensor:
    """KL(first || second) of log-probabilities [rows, labels]: [rows]."""
    return (first.exp() * (first - second)).sum(dim=-1)
