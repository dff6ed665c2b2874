"""The soft labels of one teacher: append-only segments of logits, keyed by row, verified when read.

labels/<key>/codec.json                   what the numbers are; written once
labels/<key>/segments/<id>.parquet        row_key string, logits list<float32>; id = SHA-256 of these bytes
labels/<key>/segments/<id>.json           written last: a segment without it does not exist
"""

import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from distillery_api.digests import canonical, digest_bytes, digest_of
from distillery_api.schema import Digest, Model
from distillery_storage import Conflict, DigestMismatch, Prefix
from numpy.typing import NDArray

SEGMENTS = "segments"
SCHEMA = pa.schema([("row_key", pa.string()), ("logits", pa.list_(pa.float32()))])


class Codec(Model):
    """What the numbers in a label set are, and what made them."""

    codec: str = "logits float32"
    teacher: Digest
    tokenizer: Digest | None = None  # an endpoint has its own
    kind: str
    max_length: int | None = None
    labels: list[str]

    @property
    def key(self) -> str:
        """Key of the label set. The data is no part of it: grown data labels only its new rows."""
        return digest_of(
            {"teacher": self.teacher, "tokenizer": self.tokenizer, "kind": self.kind, "maxLength": self.max_length}
        )


class Segment(Model):
    """The record that completes a segment."""

    digest: Digest
    rows: int
    shard: int
    job_uid: str
    tokens: int = 0  # that an endpoint counted for these rows


@dataclass(frozen=True)
class LabelStore:
    """Soft labels below `labels/<key>` of a storage prefix."""

    prefix: Prefix

    @classmethod
    def at(cls, storage: Prefix, labels_key: str) -> "LabelStore":
        """The store of this labels key."""
        return cls(storage.child(f"labels/{labels_key.removeprefix('sha256:')}"))

    def describe(self, codec: Codec) -> None:
        """Write the codec, or check that the one there is the same. Raises Conflict."""
        data = canonical(codec.dump())
        if not self.prefix.create("codec.json", data) and self.prefix.read("codec.json") != data:
            raise Conflict(
                f"{self.prefix.uri}/codec.json: describes other labels than this job's teacher gives;"
                " use another storage.uri, or delete that folder if no job needs it"
            )

    def append(self, keys: list[str], logits: NDArray[np.float32], shard: int, job_uid: str, tokens: int = 0) -> None:
        """Store logits [rows, labels] of the rows. Writing the same segment twice changes nothing.

        A row of NaN was answered, and not usably: nobody asks for it again.
        """
        data = encode(keys, logits)
        name = f"{SEGMENTS}/{hashlib.sha256(data).hexdigest()}"
        self.prefix.write(f"{name}.parquet", data)
        record = Segment(digest=digest_bytes(data), rows=len(keys), shard=shard, job_uid=job_uid, tokens=tokens)
        self.prefix.write(f"{name}.json", canonical(record.dump()))

    def segments(self) -> Iterator[tuple[list[str], NDArray[np.float32]]]:
        """Keys and logits of every complete segment, by id. Raises DigestMismatch for damaged bytes."""
        for path in self.prefix.list(SEGMENTS):
            if path.endswith(".json"):
                yield self._read(path.removesuffix(".json"))

    def _read(self, name: str) -> tuple[list[str], NDArray[np.float32]]:
        data = self.prefix.read(f"{name}.parquet")
        # The id is the digest, so the record need not be fetched to verify the bytes.
        if hashlib.sha256(data).hexdigest() != name.rsplit("/", 1)[-1]:
            raise DigestMismatch(
                f"{self.prefix.uri}/{name}.parquet: the bytes are not those that were written;"
                " delete this segment (.json first) and the next run labels its rows again"
            )
        return decode(data)

    def tokens_spent(self, job_uid: str, shard: int | None) -> int:
        """Tokens that a job paid for, in one shard or in all."""
        records = [self.prefix.read(path) for path in self.prefix.list(SEGMENTS) if path.endswith(".json")]
        segments = [Segment.model_validate_json(record) for record in records]
        return sum(
            segment.tokens for segment in segments if segment.job_uid == job_uid and shard in (None, segment.shard)
        )

    def keys(self) -> set[str]:
        """Keys of all rows that have soft labels."""
        return {key for keys, _ in self.segments() for key in keys}

    def lookup(self, wanted: list[str]) -> tuple[list[str], NDArray[np.float32]]:
        """Rows that are missing, and logits [wanted, labels] (NaN where missing).

        A row labelled twice takes the first segment by id, so every reader sees the same numbers.
        """
        places: dict[str, list[int]] = {}
        for index, key in enumerate(wanted):
            places.setdefault(key, []).append(index)
        found: NDArray[np.float32] | None = None
        for keys, logits in self.segments():
            if found is None:
                found = np.full((len(wanted), logits.shape[1]), np.nan, dtype=np.float32)
            for row, key in enumerate(keys):
                if (indices := places.pop(key, None)) is not None:
                    found[indices] = logits[row]
        return list(places), found if found is not None else np.zeros((len(wanted), 0), dtype=np.float32)


def encode(keys: list[str], logits: NDArray[np.float32]) -> bytes:
    """One segment as Parquet."""
    sizes = np.arange(0, logits.size + 1, logits.shape[1], dtype=np.int32)
    lists = pa.ListArray.from_arrays(pa.array(sizes), pa.array(logits.reshape(-1)))
    buffer = io.BytesIO()
    pq.write_table(pa.table([pa.array(keys), lists], schema=SCHEMA), buffer, compression="zstd")
    return buffer.getvalue()


def decode(data: bytes) -> tuple[list[str], NDArray[np.float32]]:
    """Keys and logits [rows, labels] of a segment."""
    table = pq.read_table(io.BytesIO(data))
    flat = table["logits"].combine_chunks().flatten().to_numpy()
    return table["row_key"].to_pylist(), flat.reshape(table.num_rows, -1).astype(np.float32, copy=False)
