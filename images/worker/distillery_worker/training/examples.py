"""What a model learns from: encoded rows, gold values and teacher answers, split and ordered by seed alone."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Protocol, Self, TypeVar

import numpy as np
import torch
from distillery_api.filters import Filters
from numpy.typing import NDArray
from torch import Tensor

from ..data.files import Rows
from ..data.teacher_filters import keep_by_teacher
from ..data.text import query_numbers
from ..data.views import Views
from ..errors import InputRefused
from ..labels.segments import LabelledRows
from ..tasks.head import RowHead
from ..teachers.teacher import Encoder

POOL_BATCHES = 50  # batches whose rows are sorted by length together, so that little is padding

# What is stored of the teachers' answers to rows; NaN where it is not usable. Raises InputRefused (LabelsMissing).
Lookup = Callable[[Rows], LabelledRows]


@dataclass(frozen=True)
class Examples:
    """n rows. rows: encoded inputs; gold: [n], the head's `without_gold` where there is none; teacher: [n, outputs],
    NaN where no answer is usable.

    others: the same rows in their further views, each with the teacher's answers to it; queries: [n], equal numbers for
    texts of the same query, where rows have one
    """

    rows: list[Any]
    gold: Tensor
    teacher: Tensor
    others: tuple["Examples", ...] = ()
    queries: Tensor | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, indices: NDArray[np.int64]) -> "Examples":
        """The rows at these indices, in all views."""
        picked = torch.from_numpy(indices)
        others = tuple(other.take(indices) for other in self.others)
        queries = None if self.queries is None else self.queries[picked]
        return Examples(
            [self.rows[index] for index in indices], self.gold[picked], self.teacher[picked], others, queries
        )

    def with_gold(self, head: RowHead) -> "Examples":
        """The labelled rows alone."""
        return self.take(np.flatnonzero(head.has_gold(self.gold).numpy()))

    def seen_in(self, epoch: int) -> "Examples":
        """The rows in the view of this epoch (counted from 0)."""
        return replace((self, *self.others)[epoch % (1 + len(self.others))], others=())


class Learnable(Protocol):
    """Rows to learn from, of any task."""

    @property
    def rows(self) -> Sequence[Any]:
        """One a row; its len() tells what it costs."""

    def __len__(self) -> int: ...

    def take(self, indices: NDArray[np.int64]) -> Self:
        """The rows at these indices."""

    def seen_in(self, epoch: int) -> Self:
        """The rows as this epoch shows them (counted from 0)."""


E = TypeVar("E", bound=Learnable)


@dataclass(frozen=True)
class Split(Generic[E]):
    """Rows to learn from, and labelled rows that only choose the checkpoint."""

    learn: E
    validation: E
    dropped: dict[str, int] = field(default_factory=dict)  # rows not learned from, by filter
    files: dict[str, str] = field(default_factory=dict)  # digests of those that the rows are from, by field


def collect(
    train: Rows, unlabelled: Rows | None, encoder: Encoder, head: RowHead, lookup: Lookup, views: Views, seed: int
) -> Split[Examples]:
    """Encode, look every row's soft labels up, and split. An input or a group is in one part only.

    A row with neither a gold value nor a usable answer is left out. Raises InputRefused: LabelsMissing when a row has
    no soft labels, EmptyTrainSet when nothing can be set aside.
    """
    assert train.gold is not None  # noqa: S101 - read with its head
    held = np.flatnonzero(head.validation(train, seed))
    rows = joined(train, new_rows(unlabelled, train, held)) if unlabelled else train
    gold = torch.cat([torch.from_numpy(train.gold), head.without_gold.repeat(len(rows) - len(train))])
    examples = labelled(rows, gold, encoder, lookup, views)
    useful = (head.has_gold(gold) | ~examples.teacher.isnan().any(dim=1)).numpy()
    learn = examples.take(np.setdiff1d(np.flatnonzero(useful), held))
    return Split(learn, as_they_are(rows.inputs, gold, encoder, held))


def new_rows(unlabelled: Rows, train: Rows, held: NDArray[np.int64]) -> Rows:
    """Unlabelled rows to learn from: an input that stands twice, or with a gold value, counts once."""
    seen = set(train.keys)
    apart = {train.groups[row] for row in held} if train.groups else set()
    found = []
    for row, key in enumerate(unlabelled.keys):
        if key not in seen and not (unlabelled.groups and unlabelled.groups[row] in apart):
            seen.add(key)
            found.append(row)
    return unlabelled.take(found)


def joined(train: Rows, more: Rows) -> Rows:
    """Both files' rows, to be looked up: without gold values and groups."""
    slices = [*train.slices, *more.slices] if train.slices is not None and more.slices is not None else None
    return Rows(train.inputs + more.inputs, None, train.digest, train.keys + more.keys, slices=slices)


def as_they_are(inputs: list[Any], gold: Tensor, encoder: Encoder, indices: NDArray[np.int64]) -> Examples:
    """Rows that are judged and not learned from: in no view, and without the teacher's answers."""
    rows = encoder.encode([inputs[index] for index in indices])
    return Examples(rows, gold[torch.from_numpy(indices)], torch.empty(len(rows), 0))


def labelled(rows: Rows, gold: Tensor, encoder: Encoder, lookup: Lookup, views: Views) -> Examples:
    """The rows as the teacher saw them, in every view, with its answers. Raises InputRefused (LabelsMissing)."""
    every = views.one_after_other(rows)
    found = lookup(every)
    logits = np.concatenate([found[row]["logits"] for row in range(len(found))])
    encoded, teacher = encoder.encode(every.inputs), torch.from_numpy(logits)
    starts = range(0, len(every), len(rows))
    first, *others = (
        Examples(encoded[start : start + len(rows)], gold, teacher[start : start + len(rows)]) for start in starts
    )
    return replace(first, others=tuple(others), queries=query_numbers(rows.inputs))


def kept_by_teacher(split: Split[Examples], head: RowHead, filters: Filters) -> Split[Examples]:
    """Without the rows to learn from that the filters by the teacher drop. Raises InputRefused (EmptyTrainSet)."""
    learn = split.learn
    has_gold = head.has_gold(learn.gold).numpy()
    answers = np.stack([view.teacher.numpy() for view in (learn, *learn.others)])
    keeps, dropped = keep_by_teacher(answers, learn.gold.numpy(), has_gold, filters)
    if not (keeps & has_gold).any():
        counts = ", ".join(f"{name} {count}" for name, count in dropped.items())
        raise InputRefused(
            "EmptyTrainSet",
            f"dataset.filters: no labelled row is left to learn from (dropped: {counts}); loosen them or add rows",
        )
    return Split(learn.take(np.flatnonzero(keeps)), split.validation, dropped)


def epoch_batches(
    lengths: NDArray[np.int64], units: NDArray[np.int64], batch_size: int, seed: int, epoch: int
) -> list[NDArray[np.int64]]:
    """Row indices of every batch of an epoch, each row once; depends on the arguments alone.

    Rows of a unit, by its number in `units` [rows], follow each other, in one batch unless it ends between them. Units
    are shuffled, sorted by their longest row within pools of POOL_BATCHES batches, and the batches shuffled again.
    """
    random = np.random.default_rng([seed, epoch])
    numbers, units = np.unique(units, return_inverse=True)
    order = np.argsort(np.argsort(random.permutation(len(numbers)))[units], kind="stable")
    longest = np.zeros(len(numbers), dtype=np.int64)
    np.maximum.at(longest, units, lengths)
    pool = batch_size * POOL_BATCHES
    batches = []
    for start in range(0, len(order), pool):
        part = order[start : start + pool]
        part = part[np.argsort(longest[units[part]], kind="stable")]
        batches += [part[first : first + batch_size] for first in range(0, len(part), batch_size)]
    return [batches[index] for index in random.permutation(len(batches))]


def batches_from(examples: E, units: NDArray[np.int64], batch_size: int, seed: int, step: int) -> Iterator[E]:
    """Batches without end, beginning with the one of this step (counted from 0). units: as in `epoch_batches`"""
    lengths = np.array([len(row) for row in examples.rows])
    per_epoch = -(-len(examples) // batch_size)
    while True:
        epoch, first = divmod(step, per_epoch)
        for indices in epoch_batches(lengths, units, batch_size, seed, epoch)[first:]:
            yield examples.take(indices).seen_in(epoch)
            step += 1


def micro_batches(rows: NDArray[np.int64], units: NDArray[np.int64], size: int) -> list[NDArray[np.int64]]:
    """The rows in parts of at most `size`; a unit, by its number in `units` [rows], is never parted, however large."""
    order = np.argsort(units, kind="stable")
    ends = np.flatnonzero(np.diff(units[order], append=-1)) + 1
    parts, start, before = [], 0, 0
    for end in ends.tolist():
        if end - start > size and before > start:
            parts.append(rows[order[start:before]])
            start = before
        before = end
    return [*parts, rows[order[start:]]] if len(rows) else []
