"""What one shard of a job writes, and what it has paid for."""

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
