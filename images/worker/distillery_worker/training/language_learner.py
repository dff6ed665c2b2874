"""What a language model is trained on, block by block, and what its checkpoints are chosen by."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from distillery_api.objective import Objective
from numpy.typing import NDArray
from torch import Tensor

from ..data.blocks import Block, predicted_ids
from ..data.files import Rows
from ..devices import device_of
from ..evaluation.likelihood import head_of, hidden_states, mean_loss, model_inputs
from ..labels.codecs import Codec
from ..labels.segments import RowLabels
from ..losses.token_objective import token_objective
from .examples import Lookup, Split, stored_labels
from .signals import Signals
from .stored_targets import targets_of


@dataclass(frozen=True)
class BlockExamples:
    """Blocks with the teacher's labels, whose positions are those that predict a token that counts."""

    rows: Sequence[Block]
    teacher: Sequence[RowLabels]

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, indices: NDArray[np.int64]) -> Self:
        """The blocks at these indices."""
        return type(self)([self.rows[index] for index in indices], [self.teacher[index] for index in indices])

    def seen_in(self, epoch: int) -> Self:
        """The same blocks in every epoch."""
        return self


def collect_blocks(train: Rows, held: NDArray[np.bool_], lookup: Lookup) -> Split[BlockExamples]:
    """Look the blocks' labels up, and split them. Raises InputRefused (LabelsMissing).

    held: which blocks only choose the checkpoint, [blocks]
    """
    examples = BlockExamples(train.inputs, stored_labels(lookup, train))
    return Split(examples.take(np.flatnonzero(~held)), examples.take(np.flatnonzero(held)))


@dataclass(frozen=True)
class LanguageLearner:
    """Learns stored labels and the tokens themselves; `teacher_head` is wanted by hidden states alone."""

    objective: Objective
    codec: Codec
    teacher_head: Tensor | None = None
    signals: Signals | None = None

    def loss(self, model: Any, batch: BlockExamples, rows: NDArray[np.int64]) -> Tensor:
        """What these blocks add to the loss of their batch, a scalar with its graph."""
        part, device = batch.take(rows), device_of(model)
        inputs = model_inputs(model, part.rows)
        hidden = hidden_states(model, part.rows, inputs)
        gold = torch.from_numpy(predicted_ids(part.rows)).to(device)
        targets = targets_of(self.codec, list(part.teacher), self.teacher_head, self.objective.divergence)
        ones = torch.ones(len(gold), device=device)
        alpha, temperature = self.objective.alpha, self.objective.temperature or 1.0
        loss = token_objective(hidden, head_of(model), targets, ones, gold, alpha, temperature)
        loss = loss * (len(gold) / sum(block.predicted for block in batch.rows))  # each token counts the same
        return loss + self.signals.losses(inputs).sum() / len(batch) if self.signals else loss

    def score(self, model: Any, examples: BlockExamples) -> float:
        """The mean log-likelihood of a token, in nats."""
        model.eval()
        return -mean_loss(model, examples.rows)
