"""What one shard of a job writes, and what it has paid for."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from .segments import RowLabels
from .store import LabelStore


@dataclass
class SegmentWriter:
    """Appends to the soft labels of one teacher, and counts."""

    store: LabelStore
    job_uid: str
    shard: int = 0
    shards: int = 1
    tokens: int = 0
    unusable: int = 0

    def write(self, keys: list[str], rows: list[RowLabels], tokens: int = 0, unusable: int = 0) -> None:
        """Store labels, so many of them of answers that are not usable, and the tokens that they cost."""
        self.store.append(keys, rows, self.shard, self.job_uid, tokens)
        self.tokens += tokens
        self.unusable += unusable

    def tokens_left(self, budget: int) -> int:
        """What is left of this shard's share of the job's budget: earlier attempts count."""
        spent = self.store.tokens_spent(self.job_uid, self.shard if self.shards > 1 else None)
        return max(0, budget // self.shards - spent)


class WriteBehind:
    """Writes a segment in a thread while the teacher answers the next one: at most two are in memory."""

    def __init__(self, writer: SegmentWriter, pool: ThreadPoolExecutor) -> None:
        self._writer, self._pool = writer, pool
        self._writing: Future[None] | None = None
        self._stored = self._under_way = 0

    def write(self, keys: list[str], rows: list[RowLabels]) -> None:
        """Begin to store labels, once those before them are stored. Raises what storing those raised."""
        self.stored()
        self._writing, self._under_way = self._pool.submit(self._writer.write, keys, rows), len(keys)

    def look(self) -> None:
        """Raise what storing raised, if it is over."""
        if self._writing is not None and self._writing.done():
            self.stored()

    def stored(self) -> int:
        """Wait for what is being written; gives how many rows are stored. Raises what storing them raised."""
        if self._writing is not None:
            writing, self._writing = self._writing, None
            writing.result()
            self._stored += self._under_way
        return self._stored


@contextmanager
def write_behind(writer: SegmentWriter) -> Iterator[WriteBehind]:
    """A WriteBehind that has stored everything at the end. Raises what storing raised."""
    with ThreadPoolExecutor(1, "segments") as pool:
        behind = WriteBehind(writer, pool)
        yield behind
        behind.stored()
