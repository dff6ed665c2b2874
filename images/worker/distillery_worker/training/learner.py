"""What a model is trained on and what its checkpoints are chosen by."""

from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from distillery_api.objective import Objective
from numpy.typing import NDArray
from torch import Tensor

from ..devices import device_of
from ..losses.margins import margin_loss
from ..losses.objective import RowWeights, objective, row_weights
from ..tasks.head import RowHead
from ..teachers.local import on_device, predict
from ..teachers.teacher import Encoder
from .examples import E, Examples
from .first_step import spread
from .signals import Signals

SCORE_BATCH = 256
TO_THE_TEACHER = Objective(alpha=1.0, temperature=1.0)


class Learning(Protocol[E]):
    """What a model is trained on, and what its checkpoints are chosen by, whatever the task."""

    @property
    def objective(self) -> Objective:
        """What it is trained to do."""

    @property
    def signals(self) -> Signals | None:
        """What it learns from inside the teacher."""

    def units(self, examples: E) -> NDArray[np.int64]:
        """Rows with equal numbers [rows] share terms of the loss, and go through the model together."""

    def loss(self, model: Any, batch: E, rows: NDArray[np.int64]) -> Tensor:
        """What these rows, of whole units, add to the loss of their batch, a scalar with its graph."""

    def score(self, model: Any, examples: E) -> float:
        """How good the model is on the examples; higher is better."""

    def check_answers(self, examples: E) -> None:
        """Refuse answers of the teacher that agree with gold no better than by chance (TeacherUnfit)."""

    def sample(self, examples: E) -> E:
        """A few rows that the teacher's term counts. Raises InputRefused (NoSignal)."""

    def exchanged(self, batch: E) -> E:
        """The batch with each of the teacher's answers in the place of another one."""

    def divergence(self, model: Any, batch: E, rows: NDArray[np.int64]) -> Tensor:
        """What these rows add to the mean divergence of the model from the teacher, a scalar; of scores, squared."""

    def check_start(self, divergence: float, examples: E) -> None:
        """Refuse a student that begins too far from the teacher's answers to learn from them (StudentUnfit)."""


@dataclass(frozen=True)
class Learner:
    """Learns the head's objective from stored answers and gold values, and the signals from inside the teacher."""

    encoder: Encoder
    head: RowHead
    objective: Objective
    signals: Signals | None = None

    def units(self, examples: Examples) -> NDArray[np.int64]:
        """Rows of a query where their margins are learned, else each row by itself."""
        if self.objective.margin is None:
            return np.arange(len(examples))
        assert examples.queries is not None  # noqa: S101 - a rule of the API
        return examples.queries.numpy()

    def loss(self, model: Any, batch: Examples, rows: NDArray[np.int64]) -> Tensor:
        """What these rows, of whole units, add to the loss of their batch, a scalar with its graph."""
        device = device_of(model)
        part = batch.take(rows)
        inputs = on_device(self.encoder.collate(part.rows), device)
        outputs = model(**inputs).logits
        # Where the teacher gave no usable answer the weight is 0, and a NaN would outlive it.
        losses = self.head.losses(outputs, part.teacher.nan_to_num().to(device), part.gold.to(device), self.objective)
        weights = RowWeights(*(weight.to(device) for weight in self.weights(batch).take(torch.from_numpy(rows))))
        loss = objective(losses, weights, self.objective.alpha)
        if self.objective.margin:
            loss = loss + self.objective.margin.weight * self.margins(outputs.squeeze(-1), batch, rows)
        return loss + self.signals.losses(inputs).sum() / len(batch) if self.signals else loss

    def margins(self, scores: Tensor, batch: Examples, rows: NDArray[np.int64]) -> Tensor:
        """What pairs among these rows, with the student's scores [rows], add to the errors of margins in both terms."""
        counts, alpha, picked = self.weights(batch), self.objective.alpha, torch.from_numpy(rows)
        assert batch.queries is not None  # noqa: S101 - as above
        soft = margin_loss(scores, batch.teacher.squeeze(-1), batch.queries, counts.soft > 0, picked)
        gold = margin_loss(scores, batch.gold, batch.queries, counts.gold > 0, picked)
        return alpha * soft + (1 - alpha) * gold

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

    def check_answers(self, examples: Examples) -> None:
        """Of labelled rows with a usable answer. Raises InputRefused (TeacherUnfit)."""
        known = self.head.has_gold(examples.gold) & ~examples.teacher.isnan().any(dim=-1)
        self.head.check_answers(examples.teacher[known].numpy(), examples.gold[known].numpy())

    def sample(self, examples: Examples) -> Examples:
        """Evenly from rows in the order of the teacher's answers: two differ if any do. Raises InputRefused."""
        shown = examples.seen_in(0)
        taught = np.flatnonzero(self.weights(shown).soft.numpy())
        answers = shown.teacher[taught].numpy()
        order = np.argsort(answers @ np.arange(1, 1 + answers.shape[1]), kind="stable")
        return shown.take(spread(taught[order]))

    def exchanged(self, batch: Examples) -> Examples:
        """Each row with the answer to the one before it."""
        return replace(batch, teacher=batch.teacher.roll(1, dims=0))

    def divergence(self, model: Any, batch: Examples, rows: NDArray[np.int64]) -> Tensor:
        """KL(teacher || student) in nats; of scores the squared difference."""
        return replace(self, objective=TO_THE_TEACHER, signals=None).loss(model, batch, rows)

    def check_start(self, divergence: float, examples: Examples) -> None:
        """As the head says. Raises InputRefused (StudentUnfit)."""
        answers = examples.teacher[~examples.teacher.isnan().any(dim=-1)]
        self.head.check_start(divergence, answers.numpy())
