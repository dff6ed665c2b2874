"""What a model learns from: encoded rows, gold values and teacher answers, split and ordered by seed alone."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from distillery_api.filters import Filters
from numpy.typing import NDArray
from torch import Tensor

from ..data.files import Rows
from ..data.splits import validation_rows
from ..data.teacher_filters import keep_by_teacher
from ..errors import InputRefused
from ..labels.store import LabelStore
from ..tasks.head import Head
from ..teachers.teacher import Encoder

POOL_BATCHES = 50  # batches whose rows are sorted by length together, so that little is padding


@dataclass(frozen=True)
class Examples:
    """n rows. rows: encoded inputs; gold: [n], the head's `without_gold` where there is none; teacher: [n, outputs]"""

    rows: list[Any]
    gold: Tensor
    teacher: Tensor

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, indices: NDArray[np.int64]) -> "Examples":
        """The rows at these indices."""
        picked = torch.from_numpy(indices)
        return Examples([self.rows[index] for index in indices], self.gold[picked], self.teacher[picked])


@dataclass(frozen=True)
class Split:
    """Rows to learn from, and labelled rows that only choose the checkpoint."""

    learn: Examples
    validation: Examples
    dropped: dict[str, int] = field(default_factory=dict)  # rows not learned from, by filter

    def gold_only(self, head: Head) -> "Split":
        """What the control learns from: the labelled rows alone."""
        return Split(self.learn.take(np.flatnonzero(head.has_gold(self.learn.gold).numpy())), self.validation)


def collect(
    train: Rows, unlabelled: Rows | None, encoder: Encoder, head: Head, store: LabelStore, seed: int, filters: Filters
) -> Split:
    """Encode, look every row's soft labels up, split, and leave out what the filters by the teacher leave out.

    An input or a group is in one part only. Raises InputRefused: LabelsMissing when a row has no soft labels,
    EmptyTrainSet when no labelled row is left to learn from.
    """
    assert train.gold is not None  # noqa: S101 - read with its head
    held = np.flatnonzero(validation_of(train, head, seed))
    extra = new_rows(unlabelled, train, held) if unlabelled else train.take([])
    keys = train.keys + extra.keys
    missing, answers = store.lookup(keys)
    if missing:
        raise InputRefused(
            "LabelsMissing",
            f"{len(missing)} of {len(set(keys))} rows have no soft labels under {store.prefix.uri};"
            " segments were deleted or damaged: apply the job again, its label stage writes them",
        )
    gold = torch.cat([torch.from_numpy(train.gold), head.without_gold.repeat(len(extra))])
    rows = Examples(encoder.encode(train.inputs + extra.inputs), gold, torch.from_numpy(answers))
    learn, dropped = kept_by_teacher(rows.take(np.setdiff1d(np.arange(len(keys)), held)), head, filters)
    return Split(learn, rows.take(held), dropped)


def validation_of(train: Rows, head: Head, seed: int) -> NDArray[np.bool_]:
    """Which labelled rows only choose the checkpoint: bool [rows]. Raises InputRefused (EmptyTrainSet)."""
    assert train.gold is not None  # noqa: S101 - read with its head
    return validation_rows(train.keys, head.strata(train.gold).tolist(), train.groups, seed)


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


def kept_by_teacher(learn: Examples, head: Head, filters: Filters) -> tuple[Examples, dict[str, int]]:
    """The rows that the filters by the teacher keep, and how many each of them dropped."""
    has_gold = head.has_gold(learn.gold).numpy()
    keeps, dropped = keep_by_teacher(learn.teacher.numpy(), learn.gold.numpy(), has_gold, filters)
    if not (keeps & has_gold).any():
        counts = ", ".join(f"{name} {count}" for name, count in dropped.items())
        raise InputRefused(
            "EmptyTrainSet",
            f"dataset.filters: no labelled row is left to learn from (dropped: {counts}); loosen them or add rows",
        )
    return learn.take(np.flatnonzero(keeps)), dropped


def epoch_batches(lengths: NDArray[np.int64], batch_size: int, seed: int, epoch: int) -> list[NDArray[np.int64]]:
    """Row indices of every batch of an epoch, each row once; depends on the arguments alone.

    Rows are shuffled, sorted by length within pools of POOL_BATCHES batches, and the batches shuffled again.
    """
    random = np.random.default_rng([seed, epoch])
    order = random.permutation(len(lengths))
    pool = batch_size * POOL_BATCHES
    batches = []
    for start in range(0, len(order), pool):
        part = order[start : start + pool]
        part = part[np.argsort(lengths[part], kind="stable")]
        batches += [part[first : first + batch_size] for first in range(0, len(part), batch_size)]
    return [batches[index] for index in random.permutation(len(batches))]


def batches_from(examples: Examples, batch_size: int, seed: int, step: int) -> Iterator[Examples]:
    """Batches without end, beginning with the one of this step (counted from 0)."""
    lengths = np.array([len(row) for row in examples.rows])
    per_epoch = -(-len(examples) // batch_size)
    while True:
        epoch, first = divmod(step, per_epoch)
        for indices in epoch_batches(lengths, batch_size, seed, epoch)[first:]:
            yield examples.take(indices)
            step += 1
