"""The objective: alpha * T^2 * divergence from the teacher + (1 - alpha) * CE(gold), each term over its own rows."""

import pytest
import torch
from distillery_api.objective import Objective
from distillery_worker.losses.objective import NO_GOLD, objective, row_weights
from distillery_worker.tasks.classification import Classification
from torch import Tensor
from torch.nn import functional

HEAD = Classification(["a", "b", "c"])
STUDENT = torch.tensor([[1.0, -1.0, 0.5], [0.2, 0.1, -0.4], [0.3, 0.0, 2.0]])
TEACHER = torch.tensor([[2.0, 0.0, -1.0], [-0.5, 1.5, 0.0], [0.1, 0.2, 0.3]])
GOLD = torch.tensor([2, NO_GOLD, 2])


def loss(student: Tensor, gold: Tensor, alpha: float, temperature: float, has_soft: Tensor | None = None) -> float:
    losses = HEAD.losses(student, TEACHER, gold, Objective(alpha=alpha, temperature=temperature))
    everywhere = torch.ones(3, dtype=torch.bool)
    weights = row_weights(everywhere if has_soft is None else has_soft, HEAD.has_gold(gold))
    return float(objective(losses, weights, alpha))


def kl(temperature: float, rows: list[int]) -> float:
    """T^2 * sum p log(p / q), mean over rows, written out."""
    p, q = (TEACHER[rows] / temperature).softmax(-1), (STUDENT[rows] / temperature).softmax(-1)
    return float(temperature**2 * (p * (p / q).log()).sum(-1).mean())


def cross_entropy() -> float:
    return float(functional.cross_entropy(STUDENT[[0, 2]], GOLD[[0, 2]]))


def test_alpha_weighs_the_teacher_and_its_rest_the_gold_labels() -> None:
    expected = 0.7 * kl(2.0, [0, 1, 2]) + 0.3 * cross_entropy()
    assert loss(STUDENT, GOLD, 0.7, 2.0) == pytest.approx(expected, rel=1e-5)


def test_alpha_one_ignores_gold_and_alpha_zero_ignores_the_teacher() -> None:
    assert loss(STUDENT, GOLD, 1.0, 4.0) == pytest.approx(kl(4.0, [0, 1, 2]), rel=1e-5)
    assert loss(STUDENT, GOLD, 0.0, 4.0) == pytest.approx(cross_entropy(), rel=1e-5)


def test_a_batch_without_gold_gets_the_first_term_alone() -> None:
    assert loss(STUDENT, torch.full((3,), NO_GOLD), 0.7, 2.0) == pytest.approx(0.7 * kl(2.0, [0, 1, 2]), rel=1e-5)


def test_a_student_that_answers_like_its_teacher_has_nothing_to_learn_from_it() -> None:
    assert loss(TEACHER, GOLD, 1.0, 2.0) == pytest.approx(0.0, abs=1e-6)


def test_rows_that_are_masked_have_no_soft_term_and_do_not_thin_the_others() -> None:
    masked = HEAD.mistaken(TEACHER, GOLD)
    assert masked.tolist() == [
        True,
        False,
        False,
    ]  # the teacher is right on the last, and nothing is known of the second
    assert loss(STUDENT, GOLD, 1.0, 2.0, has_soft=~masked) == pytest.approx(kl(2.0, [1, 2]), rel=1e-5)
    assert loss(STUDENT, GOLD, 0.0, 2.0, has_soft=~masked) == pytest.approx(cross_entropy(), rel=1e-5)


@pytest.mark.parametrize("alpha", [0.0, 0.4, 1.0])
def test_losses_of_a_batchs_parts_add_up_to_the_loss_of_the_batch(alpha: float) -> None:
    target = Objective(alpha=alpha)
    weights = row_weights(torch.tensor([False, True, True]), HEAD.has_gold(GOLD))
    parts = []
    for rows in (torch.tensor([0]), torch.tensor([1, 2])):
        losses = HEAD.losses(STUDENT[rows], TEACHER[rows], GOLD[rows], target)
        parts.append(objective(losses, weights.take(rows), alpha))
    whole = objective(HEAD.losses(STUDENT, TEACHER, GOLD, target), weights, alpha)
    assert float(sum(parts)) == pytest.approx(float(whole), rel=1e-5)
