"""The training objective. Alpha has one direction, and this is the one place that fixes it."""

from torch import Tensor
from torch.nn import functional

NO_GOLD = -100  # torch's own "ignore this row" label


def objective(student: Tensor, teacher: Tensor, gold: Tensor, alpha: float, temperature: float) -> Tensor:
    """alpha * T^2 * KL(teacher || student) + (1 - alpha) * CE(gold).

    Each term is the mean over its own rows: the first over those with a teacher's answer, the second over those with a
    gold label. student, teacher: logits [rows, labels], the teacher's NaN where there is no answer; gold: label ids
    [rows], NO_GOLD where there is none.
    """
    loss = student.new_zeros(())
    answered = ~teacher.isnan().any(dim=-1)
    if alpha > 0 and bool(answered.any()):
        loss = loss + alpha * soft_loss(student[answered], teacher[answered], temperature)
    if alpha < 1 and bool((gold != NO_GOLD).any()):
        loss = loss + (1 - alpha) * functional.cross_entropy(student, gold, ignore_index=NO_GOLD)
    return loss


def soft_loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """T^2 * KL(teacher || student) at temperature T, mean over rows; T^2 keeps the gradient's size independent of T."""
    target = functional.log_softmax(teacher / temperature, dim=-1)
    answer = functional.log_softmax(student / temperature, dim=-1)
    return temperature**2 * functional.kl_div(answer, target, log_target=True, reduction="batchmean")
