"""The training objective. Alpha has one direction, and this is the one place that fixes it."""

from typing import NamedTuple

from torch import Tensor

NO_GOLD = -100  # torch's own "ignore this row" label


class RowLosses(NamedTuple):
    """Both terms of the objective: [rows] each. Where a row has no gold value, what `gold` holds does not count."""

    soft: Tensor  # to the teacher, with its T^2
    gold: Tensor


class RowWeights(NamedTuple):
    """What each row of a batch counts in each term: [rows]; they sum to 1, or to 0 where no row has the term."""

    soft: Tensor
    gold: Tensor

    def take(self, rows: Tensor) -> "RowWeights":
        """Those of some rows: losses of a batch's parts add up to the loss of the batch."""
        return RowWeights(self.soft[rows], self.gold[rows])


def row_weights(has_soft: Tensor, has_gold: Tensor) -> RowWeights:
    """Each term is the mean over its own rows. has_soft, has_gold: bool [rows]"""
    return RowWeights(*(has.float() / has.sum().clamp(min=1) for has in (has_soft, has_gold)))


def objective(losses: RowLosses, weights: RowWeights, alpha: float) -> Tensor:
    """alpha * T^2 * divergence from the teacher + (1 - alpha) * loss to gold, a scalar."""
    return alpha * (losses.soft * weights.soft).sum() + (1 - alpha) * (losses.gold * weights.gold).sum()
