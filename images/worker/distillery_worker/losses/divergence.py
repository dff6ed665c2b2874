"""Divergences between the teacher's and the student's distribution. On dense logits all three are exact."""

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

Divergence = Literal["forward", "reverse", "jsd"]


def divergence(student: Tensor, teacher: Tensor, temperature: float, kind: Divergence) -> Tensor:
    """T^2 times a divergence at temperature T: [rows]; T^2 keeps the gradient's size independent of T.

    student, teacher: logits [rows, labels]
    """
    answer = functional.log_softmax(student / temperature, dim=-1)
    target = functional.log_softmax(teacher / temperature, dim=-1)
    return temperature**2 * between(target, answer, kind)


def between(target: Tensor, answer: Tensor, kind: Divergence) -> Tensor:
    """The divergence of the student's log-probabilities from the teacher's, each [rows, labels]: [rows].

    forward: KL(teacher || student) covers what the teacher answers; reverse: KL(student || teacher) seeks its mode;
    jsd: the mean of both to their mixture (arXiv 2306.13649, eq. 1 with beta 1/2).
    """
    if kind == "forward":
        return kl(target, answer)
    if kind == "reverse":
        return kl(answer, target)
    mixture = torch.logaddexp(answer, target) - math.log(2)
    return (kl(target, mixture) + kl(answer, mixture)) / 2


def kl(first: Tensor, second: Tensor) -> Tensor:
    """KL(first || second) of log-probabilities [rows, labels]: [rows]."""
    return (first.exp() * (first - second)).sum(dim=-1)
