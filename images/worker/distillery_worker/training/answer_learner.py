"""What a language model learns from texts: its teacher's answers to prompts, beside gold responses."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import torch
from distillery_api.filters import Answers, Filters
from distillery_api.objective import Objective
from numpy.typing import NDArray
from torch import Tensor

from ..data.answers import Answer, answer_filters, stored_answer
from ..data.blocks import Block, predicted_ids
from ..data.files import Rows
from ..data.language_tokenizer import LanguageTokenizer
from ..data.sifting import sift
from ..devices import device_of
from ..errors import InputRefused
from ..evaluation.likelihood import head_of, hidden_states, mean_loss, model_inputs
from ..labels.segments import RowLabels
from ..losses.weighted_likelihood import weighted_nll
from ..tasks.agreement import check_guess
from .examples import Lookup, Split, joined, new_rows
from .first_step import spread
from .signals import Signals


@dataclass(frozen=True)
class Lesson:
    """What is learned after one prompt: the teacher's answer, the gold response, or both, each a block."""

    answer: Answer
    taught: Block | None
    gold: Block | None

    def __len__(self) -> int:
        return sum(len(block) for block in (self.taught, self.gold) if block)


@dataclass(frozen=True)
class Lessons:
    """Prompts to learn from."""

    rows: Sequence[Lesson]

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, indices: NDArray[np.int64]) -> Self:
        """Those at these indices."""
        return type(self)([self.rows[index] for index in indices])

    def seen_in(self, epoch: int) -> Self:
        """The same in every epoch."""
        return self

    def blocks(self, of: str) -> list[Block]:
        """The blocks of one kind, `taught` or `gold`, of the rows that have it."""
        return [block for block in (getattr(row, of) for row in self.rows) if block]

    def predicted(self, of: str) -> int:
        """How many of their tokens are predicted."""
        return sum(block.predicted for block in self.blocks(of))


def collect_lessons(
    train: Rows, unlabelled: Rows | None, held: NDArray[np.bool_], tokenizer: LanguageTokenizer, lookup: Lookup
) -> Split[Lessons]:
    """Look the answers up, and split. A prompt or a group is in one part only. Raises InputRefused (LabelsMissing).

    held: which rows of train only choose the checkpoint, [rows]
    """
    more = new_rows(unlabelled, train, np.flatnonzero(held)) if unlabelled else None
    rows = joined(train, more) if more else train
    answers, slices = lookup(rows), rows.slices or [""] * len(rows)
    every = enumerate(zip(rows.inputs, slices, strict=True))
    lessons = Lessons([lesson(tokenizer, row, value, answers[place]) for place, (row, value) in every])
    apart = np.flatnonzero(held)
    return Split(lessons.take(np.setdiff1d(np.arange(len(rows)), apart)), lessons.take(apart))


def lesson(tokenizer: LanguageTokenizer, row: Sequence[str], value: str, labels: RowLabels) -> Lesson:
    """A row of a slice, with its stored answer."""
    prompt, *response = row
    answer = stored_answer(prompt, labels, value)
    gold = tokenizer.pair(prompt, response[0]) if response else None
    return Lesson(answer, tokenizer.pair(prompt, answer.text), gold)


def kept_answers(split: Split[Lessons], filters: Filters) -> Split[Lessons]:
    """Without the answers that the filters drop, and rows that have no gold response beside one.

    Raises InputRefused (EmptyTrainSet) where no answer is left.
    """
    written = list(dict.fromkeys(row.answer for row in split.learn.rows))
    sound, dropped = sift(written, answer_filters(filters.answers or Answers()))
    if not sound:
        counts = ", ".join(f"{name} {count}" for name, count in dropped.items())
        raise InputRefused(
            "EmptyTrainSet",
            f"dataset.filters.answers: no answer of the teacher is left to learn from (dropped: {counts}); loosen them,"
            " or where answers are unfinished raise softLabels.maxNewTokens",
        )
    kept = set(sound)
    rows = [row if row.answer in kept else replace(row, taught=None) for row in split.learn.rows]
    return Split(Lessons([row for row in rows if row.taught or row.gold]), split.validation, dropped)


def without_answers(lessons: Lessons) -> Lessons:
    """The gold responses alone."""
    return Lessons([replace(row, taught=None) for row in lessons.rows if row.gold])


@dataclass(frozen=True)
class AnswerLearner:
    """alpha * CE(answer) + (1 - alpha) * CE(gold), each term the mean over its own tokens of a batch.

    vocabulary: ids that the tokenizer can give
    """

    objective: Objective
    vocabulary: int
    signals: Signals | None = None

    def units(self, examples: Lessons) -> NDArray[np.int64]:
        """Each prompt by itself."""
        return np.arange(len(examples))

    def loss(self, model: Any, batch: Lessons, rows: NDArray[np.int64]) -> Tensor:
        """What these rows add to the loss of their batch, a scalar with its graph."""
        part, device = batch.take(rows), device_of(model)
        shares = {"taught": self.objective.alpha, "gold": 1 - self.objective.alpha}
        every = [(block, share / batch.predicted(of)) for of, share in shares.items() for block in part.blocks(of)]
        counted = [(block, weight) for block, weight in every if weight] or every
        blocks = [block for block, _ in counted]
        hidden = hidden_states(model, blocks, model_inputs(model, blocks))
        tokens = torch.tensor([block.predicted for block in blocks])
        weights = torch.tensor([weight for _, weight in counted]).repeat_interleave(tokens)
        ids = torch.from_numpy(predicted_ids(blocks))
        return weighted_nll(hidden, head_of(model), ids.to(device), weights.to(device))

    def score(self, model: Any, examples: Lessons) -> float:
        """The mean log-likelihood of a gold token, in nats."""
        model.eval()
        return -mean_loss(model, examples.blocks("gold"))

    def check_answers(self, examples: Lessons) -> None:
        """None is refused for its words: an answer may be right and have no word of the gold response."""

    def sample(self, examples: Lessons) -> Lessons:
        """Evenly from prompts in the order of their answers: two differ if any do. Raises InputRefused (NoSignal)."""
        taught = [place for place, row in enumerate(examples.rows) if row.taught]
        taught.sort(key=lambda place: examples.rows[place].answer.text)
        return examples.take(spread(np.array(taught, dtype=np.int64)))

    def exchanged(self, batch: Lessons) -> Lessons:
        """Each prompt with the answer to the one before it, cut where it would be longer than any block of these."""
        given = batch.blocks("taught")
        longest = max(map(len, given))
        pairs = zip(given, [given[-1], *given[:-1]], strict=True)
        moved = (with_answer(asked, answered, longest) for asked, answered in pairs)
        return Lessons([replace(row, taught=next(moved)) if row.taught else row for row in batch.rows])

    def divergence(self, model: Any, batch: Lessons, rows: NDArray[np.int64]) -> Tensor:
        """-log p(answer) in nats per token, which is KL(answer || student)."""
        return replace(self, objective=Objective(alpha=1.0)).loss(model, batch, rows)

    def check_start(self, divergence: float, examples: Lessons) -> None:
        """By what guessing among the vocabulary comes to. Raises InputRefused (StudentUnfit)."""
        check_guess(divergence, self.vocabulary)


def with_answer(asked: Block, answered: Block, length: int) -> Block:
    """The prompt of one block and the answer of another, cut at so many tokens."""
    ids = np.concatenate([asked.ids[: asked.first], answered.ids[answered.first :]])
    return Block(ids[:length], asked.first)
