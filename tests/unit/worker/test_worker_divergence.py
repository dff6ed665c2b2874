"""Forward KL, reverse KL and JSD of dense logits against sums that are written out."""

import math

import pytest
import torch
from distillery_worker.losses.divergence import Divergence, divergence

STUDENT = torch.tensor([[1.0, -1.0, 0.5], [0.2, 0.1, -0.4]])
TEACHER = torch.tensor([[2.0, 0.0, -1.0], [-0.5, 1.5, 0.0]])
KINDS: list[Divergence] = ["forward", "reverse", "jsd"]


def probabilities(logits: list[float], temperature: float) -> list[float]:
    powers = [math.exp(logit / temperature) for logit in logits]
    return [power / sum(powers) for power in powers]


def kl(first: list[float], second: list[float]) -> float:
    return sum(p * math.log(p / q) for p, q in zip(first, second, strict=True))


def written_out(kind: str, teacher: list[float], student: list[float]) -> float:
    if kind == "forward":
        return kl(teacher, student)
    if kind == "reverse":
        return kl(student, teacher)
    mixture = [(p + q) / 2 for p, q in zip(teacher, student, strict=True)]
    return kl(teacher, mixture) / 2 + kl(student, mixture) / 2


@pytest.mark.parametrize("temperature", [1.0, 3.0])
@pytest.mark.parametrize("kind", KINDS)
def test_each_divergence_is_the_sum_of_its_definition(kind: Divergence, temperature: float) -> None:
    rows = zip(TEACHER.tolist(), STUDENT.tolist(), strict=True)
    expected = [
        temperature**2 * written_out(kind, probabilities(teacher, temperature), probabilities(student, temperature))
        for teacher, student in rows
    ]
    assert divergence(STUDENT, TEACHER, temperature, kind).tolist() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_equal_answers_are_no_distance_apart(kind: Divergence) -> None:
    assert divergence(TEACHER, TEACHER + 5, 2.0, kind).tolist() == pytest.approx([0, 0], abs=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_logits_far_apart_give_finite_values_and_gradients(kind: Divergence) -> None:
    student = torch.tensor([[200.0, -200.0]], requires_grad=True)
    value = divergence(student, torch.tensor([[-200.0, 200.0]]), 1.0, kind)
    value.sum().backward()
    assert torch.isfinite(value).all()
    assert student.grad is not None
    assert torch.isfinite(student.grad).all()


def test_temperature_hardly_changes_the_size_of_the_gradient() -> None:
    sizes = []
    for temperature in (20.0, 200.0):
        student = STUDENT.clone().requires_grad_()
        divergence(student, TEACHER, temperature, "forward").sum().backward()
        assert student.grad is not None
        sizes.append(student.grad.norm().item())
    assert sizes[0] == pytest.approx(sizes[1], rel=0.05)
