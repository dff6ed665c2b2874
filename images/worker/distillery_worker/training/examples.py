"""What a model learns from: encoded rows, gold values and teacher answers, split and ordered by seed alone."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from distillery_api.digests import digest_of
from numpy.typing import NDArray
from torch import Tensor

from ..data.files import Rows
from ..errors import InputRefused
from ..tasks.head import Head
from ..teachers.teacher import Encoder

VALIDATION_SHARE = 0.1
POOL_BATCHES = 50  # batches whose rows are sorted by length together, so that little is padding


# The teachers' answers to rows: keys of rows that lack one, and outputs [rows, outputs], NaN where none is usable.
Lookup = Callable[[Rows], tuple[Collection[str], NDArray[np.float32]]]


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

    def gold_only(self, head: Head) -> "Split":
        """What the control learns from: the labelled rows alone."""
        return Split(self.learn.take(np.flatnonzero(head.has_gold(self.learn.gold).numpy())), self.validation)


def collect(train: Rows, unlabelled: Rows | None, encoder: Encoder, head: Head, lookup: Lookup, seed: int) -> Split:
    """Encode, look every row's soft labels up, and split. An input is in one part only.

    A row with neither a gold value nor a usable answer is left out. Raises InputRefused (LabelsMissing) when a row has
    no answer stored.
    """
    assert train.gold is not None  # noqa: S101 - read with its head
    validation = validation_keys(train.keys, seed)
    rows = joined(train, unlabelled)
    missing, answers = lookup(rows)
    if missing:
        raise InputRefused(
            "LabelsMissing",
            f"{len(missing)} of {len(set(rows.keys))} rows have no soft labels in storage.uri;"
            " segments were deleted or damaged: apply the job again, its label stage writes them",
        )
    gold = torch.cat([torch.from_numpy(train.gold), head.without_gold.repeat(len(rows) - len(train))])
    examples = Examples(encoder.encode(rows.inputs), gold, torch.from_numpy(answers))
    held = np.array([key in validation for key in rows.keys])
    useful = head.has_gold(gold).numpy() | ~np.isnan(answers).any(axis=1)
    return Split(examples.take(np.flatnonzero(~held & useful)), examples.take(np.flatnonzero(held)))


def joined(train: Rows, unlabelled: Rows | None) -> Rows:
    """Train's rows, and those of unlabelled that are new: an input that stands twice, or with gold, counts once."""
    if unlabelled is None:
        return train
    seen, fresh = set(train.keys), list[int]()
    for index, key in enumerate(unlabelled.keys):
        if key not in seen:
            seen.add(key)
            fresh.append(index)
    return Rows(
        [*train.inputs, *(unlabelled.inputs[index] for index in fresh)],
        None,
        train.digest,
        [*train.keys, *(unlabelled.keys[index] for index in fresh)],
        None
        if train.slices is None or unlabelled.slices is None
        else [*train.slices, *(unlabelled.slices[index] for index in fresh)],
    )


def validation_keys(keys: list[str], seed: int) -> set[str]:
    """A tenth of the distinct rows, at least one, chosen by hash: equal texts always go together."""
    distinct = sorted(set(keys), key=lambda key: digest_of([seed, key]))
    return set(distinct[: max(1, round(len(distinct) * VALIDATION_SHARE))])


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
