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


def test_a_row_without_a_teachers_answer_is_learned_from_gold_alone() -> None:
    student = torch.tensor([[0.2, -0.4], [1.0, 0.5], [-0.3, 0.1]], requires_grad=True)
    teacher = torch.tensor([[1.0, 0.0], [float("nan")] * 2, [0.0, 2.0]])
    gold = torch.tensor([0, 1, NO_GOLD])
    loss = objective(student, teacher, gold, alpha=0.3, temperature=2.0)
    soft = objective(student[[0, 2]], teacher[[0, 2]], gold[[0, 2]], alpha=1.0, temperature=2.0)
    hard = objective(student, torch.zeros(3, 2), gold, alpha=0.0, temperature=1.0)
    assert loss.item() == pytest.approx(0.3 * soft.item() + 0.7 * hard.item(), rel=1e-6)
    torch.autograd.backward(loss)
    assert student.grad is not None
    assert bool(torch.isfinite(student.grad).all())
    none = objective(student, torch.full((3, 2), float("nan")), gold, alpha=0.3, temperature=2.0)
    assert none.item() == pytest.approx(0.7 * hard.item(), rel=1e-6)
