"""Documents as blocks of tokens: what a language model is labelled, trained and judged on, block by block."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Block:
    """Consecutive tokens of one document. ids: [tokens]; `first` is the index of the first one that is predicted.

    Position i predicts token i + 1, so the positions from first - 1 to the last but one are the ones that count.
    """

    ids: Ids
    first: int = 1

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def predicted(self) -> int:
        """How many tokens are predicted."""
        return len(self.ids) - self.first

    @property
    def key(self) -> str:
        """Name of the block in the label store: hex SHA-256 of `first` and the ids as little-endian int32."""
        return hashlib.sha256(np.array([self.first, *self.ids], dtype="<i4").tobytes()).hexdigest()


class Batch(NamedTuple):
    """Padded blocks, named like a model's inputs: int64 [blocks, tokens]; attention_mask is 0 on padding."""

    input_ids: NDArray[np.int64]
    attention_mask: NDArray[np.int64]


class Asked(NamedTuple):
    """Blocks that a model is asked about together."""

    blocks: Sequence[Block]


def cut(ids: Sequence[int], length: int) -> list[Block]:
    """A document in blocks of at most `length` tokens, each beginning with the last token of the one before.

    So every token but the document's first is predicted once, and none without a token before it.
    """
    every = np.asarray(ids, dtype=np.int32)
    return [Block(every[start : start + length]) for start in range(0, len(every) - 1, length - 1)]


def collate(blocks: Sequence[Block]) -> Batch:
    """Blocks of any lengths as one batch, padded on the right: a causal model's positions never see it."""
    width = max(map(len, blocks))
    ids = np.zeros((len(blocks), width), dtype=np.int64)
    mask = np.zeros_like(ids)
    for row, block in enumerate(blocks):
        ids[row, : len(block)] = block.ids
        mask[row, : len(block)] = 1
    return Batch(ids, mask)


def predicting(blocks: Sequence[Block], width: int) -> NDArray[np.bool_]:
    """Which positions of a padded batch predict a token that counts: [blocks, width], blocks in their order."""
    positions = np.arange(width)
    firsts = np.array([block.first - 1 for block in blocks])
    ends = np.array([len(block) - 1 for block in blocks])
    chosen: NDArray[np.bool_] = (positions >= firsts[:, None]) & (positions < ends[:, None])
    return chosen


def predicted_ids(blocks: Sequence[Block]) -> NDArray[np.int64]:
    """The tokens that are predicted, block after block: [sum of predicted]."""
    return np.concatenate([block.ids[block.first :] for block in blocks]).astype(np.int64)
