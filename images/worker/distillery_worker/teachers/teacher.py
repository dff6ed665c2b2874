"""What stages ask of a teacher, wherever its answers come from."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ..context import Context
from ..errors import InputRefused
from ..labels.store import Codec
from ..labels.writer import SegmentWriter
from ..tasks.head import Head

BATCH = 64
SEGMENT_ROWS = 2048  # work that a kill can cost


class Teacher(ABC):
    """A model whose answers are stored."""

    digest: str  # of everything that its answers depend on
    head: Head

    @abstractmethod
    def codec(self, kind: str) -> Codec:
        """How its soft labels are stored."""

    @abstractmethod
    def label(self, rows: Mapping[str, Any], writer: SegmentWriter, context: Context) -> None:
        """Answer rows by key, and write a segment at a time. Raises InputRefused and Interrupted."""


class BatchTeacher(Teacher):
    """A teacher that runs in this process, over batches of rows."""

    uri: str

    @abstractmethod
    def answers(self, inputs: Sequence[Any], done: Callable[[int], None]) -> NDArray[np.float32]:
        """Outputs float32 [inputs, outputs], in order; `done` is told of rows as they are answered, and may raise."""

    def label(self, rows: Mapping[str, Any], writer: SegmentWriter, context: Context) -> None:
        """Longest rows first: memory runs out at once or never."""
        keys = sorted(rows, key=lambda key: (-len(rows[key]), key))
        for start in range(0, len(keys), SEGMENT_ROWS):
            segment = keys[start : start + SEGMENT_ROWS]

            def answered(count: int, stored: int = start) -> None:
                context.progress.advance(count)
                context.check_stop(f"{stored} of {len(keys)} rows are stored")

            context.check_stop(f"{start} of {len(keys)} rows are stored")
            outputs = self.answers([rows[key] for key in segment], answered)
            if not np.isfinite(outputs).all():
                raise InputRefused(
                    "WeightsCorrupt",
                    f"teachers: {self.uri} answers NaN or infinity for some rows; upload sound weights",
                )
            writer.write(segment, outputs)


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
    rows = encoder.encode(inputs)
    found = np.empty((len(rows), outputs), dtype=np.float32)
    # Longest first: memory runs out at once or never.
    order = sorted(range(len(rows)), key=lambda index: -len(rows[index]))
    for start in range(0, len(order), BATCH):
        chosen = order[start : start + BATCH]
        found[chosen] = predict(encoder.collate([rows[index] for index in chosen]))
        done(len(chosen))
    return found
