"""What a model is trained on and what its checkpoints are chosen by."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from distillery_api.distillationjob import Objective
from torch import Tensor

from ..devices import device_of
from ..tasks.head import Head
from ..teachers.local import on_device, predict
from ..teachers.teacher import Encoder
from .examples import Examples

SCORE_BATCH = 256


@dataclass(frozen=True)
class Learner:
    """Learns the head's objective from stored answers and gold values."""

    encoder: Encoder
    head: Head
    objective: Objective

    def loss(self, model: Any, batch: Examples) -> Tensor:
        """The loss of a batch, a scalar with its graph."""
        device = device_of(model)
        outputs = model(**on_device(self.encoder.collate(batch.rows), device)).logits
        return self.head.loss(outputs, batch.teacher.to(device), batch.gold.to(device), self.objective)

    def score(self, model: Any, examples: Examples) -> float:
        """The head's score on examples that all have a gold value; higher is better."""
        model.eval()
        starts = range(0, len(examples), SCORE_BATCH)
        batches = [self.encoder.collate(examples.rows[start : start + SCORE_BATCH]) for start in starts]
        outputs = np.concatenate([predict(model, batch) for batch in batches])
        return self.head.score(outputs, examples.gold.numpy())
