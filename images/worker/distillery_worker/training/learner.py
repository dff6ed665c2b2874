"""What a model is trained on and what its checkpoints are chosen by."""

from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from distillery_api.objective import Objective
from numpy.typing import NDArray
from torch import Tensor

from ..devices import device_of
from ..losses.objective import RowWeights, objective, row_weights
from ..tasks.head import RowHead
from ..teachers.local import on_device, predict
from ..teachers.teacher import Encoder
from .examples import Examples, Learnable
from .signals import Signals

SCORE_BATCH = 256
E_contra = TypeVar("E_contra", bound=Learnable, contravariant=True)


class Learning(Protocol[E_contra]):
    """What a model is trained on, and what its checkpoints are chosen by, whatever the task."""

    @property
    def signals(self) -> Signals | None:
        """What it learns from inside the teacher."""

    def loss(self, model: Any, batch: E_contra, rows: NDArray[np.int64]) -> Tensor:
        """What these rows add to the loss of their batch, a scalar with its graph."""

    def score(self, model: Any, examples: E_contra) -> float:
        """How good the model is on the examples; higher is better."""


@dataclass(frozen=True)
class Learner:
    """Learns the head's objective from stored answers and gold values, and the signals from inside the teacher."""

    encoder: Encoder
    head: RowHead
    objective: Objective
    signals: Signals | None = None

    def loss(self, model: Any, batch: Examples, rows: NDArray[np.int64]) -> Tensor:
        """What these rows add to the loss of their batch, a scalar with its graph."""
        device = device_of(model)
        part = batch.take(rows)
        inputs = on_device(self.encoder.collate(part.rows), device)
        outputs = model(**inputs).logits
        # Where the teacher gave no usable answer the weight is 0, and a NaN would outlive it.
        losses = self.head.losses(outputs, part.teacher.nan_to_num().to(device), part.gold.to(device), self.objective)
        weights = RowWeights(*(weight.to(device) for weight in self.weights(batch).take(torch.from_numpy(rows))))
        loss = objective(losses, weights, self.objective.alpha)
        return loss + self.signals.losses(inputs).sum() / len(batch) if self.signals else loss

    def weights(self, batch: Examples) -> RowWeights:
        """What the batch's rows count."""
        has_soft = ~batch.teacher.isnan().any(dim=-1)
        if self.objective.mask_teacher_mistakes:
            has_soft &= ~self.head.mistaken(batch.teacher, batch.gold)
        return row_weights(has_soft, self.head.has_gold(batch.gold))

    def score(self, model: Any, examples: Examples) -> float:
        """The head's score on examples that all have a gold value; higher is better."""
        model.eval()
        starts = range(0, len(examples), SCORE_BATCH)
        batches = [self.encoder.collate(examples.rows[start : start + SCORE_BATCH]) for start in starts]
        outputs = np.concatenate([predict(model, batch) for batch in batches])
        return self.head.score(outputs, examples.gold.numpy())
