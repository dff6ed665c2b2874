"""The objective: alpha * T^2 * KL(teacher || student) + (1 - alpha) * CE(gold), each term over its own rows."""

import pytest
import torch
from distillery_worker.losses.objective import NO_GOLD, objective
from torch.nn import functional

STUDENT = torch.tensor([[1.0, -1.0, 0.5], [0.2, 0.1, -0.4]])
TEACHER = torch.tensor([[2.0, 0.0, -1.0], [-0.5, 1.5, 0.0]])
GOLD = torch.tensor([2, NO_GOLD])


def kl(temperature: float) -> torch.Tensor:
    """T^2 * sum p log(p / q), mean over rows, written out."""
    p, q = (TEACHER / temperature).softmax(-1), (STUDENT / temperature).softmax(-1)
    return temperature**2 * (p * (p / q).log()).sum(-1).mean()


def test_alpha_weighs_the_teacher_and_its_rest_the_gold_labels() -> None:
    expected = 0.7 * kl(2.0) + 0.3 * functional.cross_entropy(STUDENT[:1], GOLD[:1])
    assert objective(STUDENT, TEACHER, GOLD, 0.7, 2.0).item() == pytest.approx(expected.item())


def test_alpha_one_ignores_gold_and_alpha_zero_ignores_the_teacher() -> None:
    assert objective(STUDENT, TEACHER, GOLD, 1.0, 4.0).item() == pytest.approx(kl(4.0).item())
    only_gold = functional.cross_entropy(STUDENT[:1], GOLD[:1])
    assert objective(STUDENT, TEACHER, GOLD, 0.0, 4.0).item() == pytest.approx(only_gold.item())


def test_a_batch_without_gold_gets_the_first_term_alone() -> None:
    none = torch.tensor([NO_GOLD, NO_GOLD])
    assert objective(STUDENT, TEACHER, none, 0.7, 2.0).item() == pytest.approx(0.7 * kl(2.0).item())


def test_a_student_that_answers_like_its_teacher_has_nothing_to_learn_from_it() -> None:
    assert objective(TEACHER, TEACHER, GOLD, 1.0, 2.0).item() == pytest.approx(0.0, abs=1e-6)
