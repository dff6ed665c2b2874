"""What stages ask of a teacher, wherever its answers come from."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from distillery_api.soft_labels import SoftLabels
from numpy.typing import NDArray

from ..context import Context
from ..labels.codecs import Codec, bytes_per_position
from ..labels.segments import RowLabels
from ..labels.store import LabelSet
from ..labels.writer import SegmentWriter, write_behind
from ..tasks.head import Head

BATCH = 64
SEGMENT_BYTES = 2**27  # of labels in memory
POOL = 32 * BATCH  # inputs that are encoded together: all of a data set's images may not fit into memory


class Teacher(ABC):
    """A model whose answers are stored."""

    digest: str  # of everything that its answers depend on
    head: Head

    @abstractmethod
    def label_set(self, soft_labels: SoftLabels) -> LabelSet:
        """What its soft labels are, as they are stored."""

    @abstractmethod
    def label(self, rows: Mapping[str, Any], writer: SegmentWriter, context: Context) -> None:
        """Answer rows by key, and write a segment at a time. Raises InputRefused and Interrupted."""


class BatchTeacher(Teacher):
    """A teacher that runs in this process, over batches of rows."""

    segment_rows = 2048  # at most: work that a kill can cost
    rechecked_rows = 64  # at most, of the stored ones
    tried_rows: int | None = None  # of the first ones, on which preflight tries it; all without a number

    @abstractmethod
    def labels(
        self, codec: Codec, keys: Sequence[str], inputs: Sequence[Any], done: Callable[[int], None]
    ) -> list[RowLabels]:
        """Soft labels of inputs with these row keys, in order; `done` is told of rows as they come, and may raise."""

    @abstractmethod
    def answers(self, inputs: Sequence[Any], done: Callable[[int], None]) -> NDArray[np.float32]:
        """Outputs float32 [inputs, outputs], in order; `done` is told of rows as they are answered, and may raise."""

    def label(self, rows: Mapping[str, Any], writer: SegmentWriter, context: Context) -> None:
        """Longest rows first: memory runs out at once or never."""
        keys = sorted(rows, key=lambda key: (-size(rows[key]), key))
        with write_behind(writer) as behind:

            def answered(count: int) -> None:
                context.progress.advance(count)
                behind.look()
                if context.stop.is_set():
                    context.check_stop(f"{behind.stored()} of {len(keys)} rows are stored")

            codec = writer.store.labels.codec
            sizes = [self.positions(rows[key]) * bytes_per_position(codec) for key in keys]
            for segment in in_segments(keys, sizes, self.segment_rows):
                answered(0)
                behind.write(segment, self.labels(codec, segment, [rows[key] for key in segment], answered))

    def positions(self, row: Any) -> int:
        """How many positions of a row it labels."""
        return 1


def in_segments(keys: Sequence[str], sizes: Sequence[int], most: int) -> Iterator[list[str]]:
    """The keys in their order, at most so many a segment; sizes: bytes of each row's labels."""
    segment, filled = list[str](), 0
    for key, taken in zip(keys, sizes, strict=True):
        if segment and (len(segment) == most or filled + taken > SEGMENT_BYTES):
            yield segment
            segment, filled = [], 0
        segment.append(key)
        filled += taken
    if segment:
        yield segment


class Encoder(Protocol):
    """Turns inputs into what a model takes."""

    def encode(self, inputs: Sequence[Any]) -> list[Any]:
        """One encoded row an input; its len() tells what it costs."""

    def collate(self, rows: Sequence[Any]) -> NamedTuple:
        """Encoded rows as one batch; its fields are named like the model's inputs."""


def outputs_of(
    predict: Callable[[Any], NDArray[np.float32]],
    encoder: Encoder,
    inputs: Sequence[Any],
    outputs: int,
    done: Callable[[int], None],
) -> NDArray[np.float32]:
    """Outputs float32 [inputs, outputs] of any model, in order; rows of similar length share a batch."""
    found = np.empty((len(inputs), outputs), dtype=np.float32)
    # Longest first: memory runs out at once or never.
    order = sorted(range(len(inputs)), key=lambda index: -size(inputs[index]))
    for first in range(0, len(order), POOL):
        pool = order[first : first + POOL]
        rows = dict(zip(pool, encoder.encode([inputs[index] for index in pool]), strict=True))
        pool.sort(key=lambda index: -len(rows[index]))
        for start in range(0, len(pool), BATCH):
            chosen = pool[start : start + BATCH]
            found[chosen] = predict(encoder.collate([rows[index] for index in chosen]))
            done(len(chosen))
    return found


def size(row: Any) -> int:
    """What a row costs, roughly: characters of a text, or of both texts of a pair; bytes of an encoded image."""
    return sum(map(len, row)) if isinstance(row, tuple) else len(row)
