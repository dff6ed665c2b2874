"""What a language model is trained on, block by block, and what its checkpoints are chosen by."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import torch
from distillery_api.objective import Objective
from numpy.typing import NDArray
from torch import Tensor

from ..data.blocks import Block, predicted_ids
from ..data.files import Rows
from ..devices import device_of
from ..errors import InputRefused
from ..evaluation.likelihood import head_of, hidden_states, mean_loss, model_inputs
from ..labels.codecs import DistributionCodec
from ..labels.local_copy import LocalLabels
from ..labels.segments import LabelledRows, RowLabels
from ..losses.chunked import CHUNK_LOGITS
from ..losses.token_objective import token_objective
from ..losses.token_targets import TokenTargets
from ..tasks.agreement import check_guess
from .examples import Lookup, Split
from .first_step import spread
from .signals import Signals
from .stored_targets import targets_of

log = logging.getLogger(__name__)
FEWEST_TOKENS = 100  # that show whether labels belong to them


@dataclass(frozen=True)
class Chosen:
    """Labels of some rows, which are read when they are asked for. indices: of the rows among all"""

    every: LabelledRows
    indices: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, row: int) -> RowLabels:
        return self.every[int(self.indices[row])]


def read(labels: LabelledRows, rows: NDArray[np.int64]) -> list[RowLabels]:
    """The labels at these indices, as many at once as they can be read."""
    if isinstance(labels, Chosen):
        return read(labels.every, labels.indices[rows])
    return labels.at(rows) if isinstance(labels, LocalLabels) and len(rows) else [labels[row] for row in rows.tolist()]


@dataclass(frozen=True)
class BlockExamples:
    """Blocks with the teacher's labels, whose positions are those that predict a token that counts."""

    rows: Sequence[Block]
    teacher: LabelledRows

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, indices: NDArray[np.int64]) -> Self:
        """The blocks at these indices; no label is read."""
        return type(self)([self.rows[index] for index in indices], Chosen(self.teacher, indices))

    def seen_in(self, epoch: int) -> Self:
        """The same blocks in every epoch."""
        return self

    def labels(self) -> list[RowLabels]:
        """Those of all blocks, read into memory."""
        return read(self.teacher, np.arange(len(self)))


def collect_blocks(train: Rows, held: NDArray[np.bool_], lookup: Lookup) -> Split[BlockExamples]:
    """Look the blocks' labels up, and split them. Raises InputRefused (LabelsMissing).

    held: which blocks only choose the checkpoint, [blocks]
    """
    examples = BlockExamples(train.inputs, lookup(train))
    return Split(examples.take(np.flatnonzero(~held)), examples.take(np.flatnonzero(held)))


@dataclass(frozen=True)
class LanguageLearner:
    """Learns stored labels and the tokens themselves; `teacher_head` is wanted by hidden states alone."""

    objective: Objective
    codec: DistributionCodec
    teacher_head: Tensor | None = None
    signals: Signals | None = None

    def units(self, examples: BlockExamples) -> NDArray[np.int64]:
        """Each block by itself."""
        return np.arange(len(examples))

    def loss(self, model: Any, batch: BlockExamples, rows: NDArray[np.int64]) -> Tensor:
        """What these blocks add to the loss of their batch, a scalar with its graph."""
        part, device = batch.take(rows), device_of(model)
        inputs = model_inputs(model, part.rows)
        hidden = hidden_states(model, part.rows, inputs)
        gold = torch.from_numpy(predicted_ids(part.rows)).to(device)
        targets = targets_of(self.codec, part.labels(), self.teacher_head, self.objective.divergence)
        ones = torch.ones(len(gold), device=device)
        alpha, temperature = self.objective.alpha, self.objective.temperature or 1.0
        loss = token_objective(hidden, head_of(model), targets, ones, gold, alpha, temperature)
        loss = loss * (len(gold) / sum(block.predicted for block in batch.rows))  # each token counts the same
        return loss + self.signals.losses(inputs).sum() / len(batch) if self.signals else loss

    def score(self, model: Any, examples: BlockExamples) -> float:
        """The mean log-likelihood of a token, in nats."""
        model.eval()
        return -mean_loss(model, examples.rows)

    def check_answers(self, examples: BlockExamples) -> None:
        """By what the labels give the tokens that come, and those beside them. Raises InputRefused (TeacherUnfit)."""
        few = self.sample(examples)
        gold = torch.from_numpy(predicted_ids(few.rows))
        targets = targets_of(self.codec, few.labels(), self.teacher_head, "forward")
        right, before, after = (
            mean_probability(targets, gold.roll(shift), self.codec.vocabulary, self.teacher_head)
            for shift in (0, 1, -1)
        )
        log.info("the soft labels of a few blocks", extra={"probability": right, "beside": max(before, after)})
        if len(gold) >= FEWEST_TOKENS and not right > max(before, after):
            raise InputRefused(
                "TeacherUnfit",
                f"teachers: the soft labels give {len(gold)} tokens of dataset.train a probability of {right:.2g}, and"
                f" the tokens beside them {max(before, after):.2g}; check that the teacher's tokenizer, chat template"
                " and weights belong together, and with `distillery labels verify` that the labels are whole",
            )

    def sample(self, examples: BlockExamples) -> BlockExamples:
        """Blocks evenly from all, each of which the teacher's term counts."""
        return examples.take(spread(np.arange(len(examples))))

    def exchanged(self, batch: BlockExamples) -> BlockExamples:
        """Each position with the label of the one before it, across blocks."""
        ends = np.cumsum([block.predicted for block in batch.rows])[:-1]
        given = batch.labels()
        moved = {
            column.name: np.split(np.roll(np.concatenate([row[column.name] for row in given]), 1, axis=0), ends)
            for column in self.codec.columns
        }
        labels = [{name: rows[index] for name, rows in moved.items()} for index in range(len(batch))]
        return replace(batch, teacher=labels)

    def divergence(self, model: Any, batch: BlockExamples, rows: NDArray[np.int64]) -> Tensor:
        """KL(teacher || student) in nats per token, with sampled labels the teacher's entropy more."""
        temperature = self.objective.temperature or 1.0
        alone = Objective(alpha=1.0, temperature=temperature)
        return replace(self, objective=alone, signals=None).loss(model, batch, rows) / temperature**2

    def check_start(self, divergence: float, examples: BlockExamples) -> None:
        """By what guessing among the vocabulary comes to. Raises InputRefused (StudentUnfit)."""
        check_guess(divergence, self.codec.vocabulary)


def mean_probability(targets: TokenTargets, ids: Tensor, vocabulary: int, head: Tensor | None) -> float:
    """What the teacher gives these ids [tokens], a chunk at a time; on the device of `head` where there is one."""
    device = head.device if head is not None else ids.device
    chunks = torch.split(torch.arange(len(ids), device=device), max(1, CHUNK_LOGITS // vocabulary))
    return sum(float(targets.probability(ids.to(device)[chunk], chunk).sum()) for chunk in chunks) / len(ids)
