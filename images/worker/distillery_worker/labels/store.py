"""The soft labels of one teacher: append-only segments of one codec, keyed by row, verified when read.

labels/<key>/codec.json                   what the labels are, and what made them; written once
labels/<key>/segments/<id>.parquet        the rows' labels as the codec stores them; id = SHA-256 of these bytes
labels/<key>/segments/<id>.json           written last: a segment without it does not exist
"""

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from distillery_api.digests import canonical, digest_bytes, digest_of
from distillery_api.schema import Digest, Model
from distillery_storage import Conflict, DigestMismatch, Prefix
from numpy.typing import NDArray

from ..errors import InputRefused
from .codecs import Codec
from .segments import KEY, RowLabels, encode_segment, read_segment, rows_in

DESCRIPTION, SEGMENTS = "codec.json", "segments"


class LabelSet(Model):
    """What the labels of a set are, and what made them: of texts by a tokenizer, of images by a preprocessing.

    With an augmentation, row keys are "<digest of the image>/<view>", and the view is made by it (data/views.py).
    """

    codec: Codec
    teacher: Digest
    tokenizer: Digest | None = None  # an endpoint has its own
    max_length: int | None = None  # tokens at which texts are cut; a language model's rows are cut before
    preprocessing: dict[str, Any] | None = None
    augmentation: dict[str, Any] | None = None
    labels: list[str] = []

    @property
    def key(self) -> str:
        """Key of the label set. The data is no part of it: grown data labels only its new rows."""
        return digest_of({name: value for name, value in self.dump().items() if name != "labels"})


class Segment(Model):
    """The record that completes a segment."""

    digest: Digest
    rows: int
    shard: int
    job_uid: str
    tokens: int = 0  # that an endpoint counted for these rows


@dataclass(frozen=True)
class LabelStore:
    """A label set's rows below `labels/<key>` of a storage prefix."""

    prefix: Prefix
    labels: LabelSet

    @classmethod
    def at(cls, storage: Prefix, labels: LabelSet) -> "LabelStore":
        """The store of this label set."""
        return cls(storage.child(f"labels/{labels.key.removeprefix('sha256:')}"), labels)

    def describe(self) -> None:
        """Write what the labels are, or check that what is there says the same. Raises Conflict."""
        data = canonical(self.labels.dump())
        if not self.prefix.create(DESCRIPTION, data) and self.prefix.read(DESCRIPTION) != data:
            raise Conflict(
                f"{self.prefix.uri}/{DESCRIPTION}: describes other labels than this job's teacher gives;"
                " use another storage.uri, or delete that folder if no job needs it"
            )

    def append(self, keys: list[str], rows: list[RowLabels], shard: int, job_uid: str, tokens: int = 0) -> None:
        """Store the rows' labels. Writing the same segment twice changes nothing.

        A row of NaN was answered, and not usably: nobody asks for it again.
        """
        data = encode_segment(self.labels.codec, keys, rows)
        name = f"{SEGMENTS}/{hashlib.sha256(data).hexdigest()}"
        self.prefix.write(f"{name}.parquet", data)
        record = Segment(digest=digest_bytes(data), rows=len(keys), shard=shard, job_uid=job_uid, tokens=tokens)
        self.prefix.write(f"{name}.json", canonical(record.dump()))

    def segments(self) -> Iterator[tuple[list[str], list[RowLabels]]]:
        """Keys and labels of every complete segment, by id. Raises DigestMismatch for damaged bytes."""
        for table in self.tables():
            yield table[KEY].to_pylist(), rows_in(self.labels.codec, table)

    def tables(self) -> Iterator[pa.Table]:
        """The columns of every complete segment, by id. Raises DigestMismatch for damaged bytes."""
        for name in self._names():
            yield read_segment(self._read(name))

    def _names(self) -> list[str]:
        """Paths of complete segments without their extensions, by id."""
        return [path.removesuffix(".json") for path in self.prefix.list(SEGMENTS) if path.endswith(".json")]

    def _read(self, name: str) -> bytes:
        data = self.prefix.read(f"{name}.parquet")
        # The id is the digest, so the record need not be fetched to verify the bytes.
        if hashlib.sha256(data).hexdigest() != name.rsplit("/", 1)[-1]:
            raise DigestMismatch(
                f"{self.prefix.uri}/{name}.parquet: the bytes are not those that were written;"
                " delete this segment (.json first) and the next run labels its rows again"
            )
        return data

    def tokens_spent(self, job_uid: str, shard: int | None) -> int:
        """Tokens that a job paid for, in one shard or in all."""
        records = [self.prefix.read(path) for path in self.prefix.list(SEGMENTS) if path.endswith(".json")]
        segments = [Segment.model_validate_json(record) for record in records]
        return sum(
            segment.tokens for segment in segments if segment.job_uid == job_uid and shard in (None, segment.shard)
        )

    def keys(self) -> set[str]:
        """Keys of all rows that have soft labels."""
        return set(self.places())

    def places(self) -> dict[str, str]:
        """By row key: the name of the segment that every reader takes the row from, the first by id."""
        found = dict[str, str]()
        for name in self._names():
            for key in read_segment(self._read(name))[KEY].to_pylist():
                found.setdefault(key, name)
        return found

    def few(self, wanted: Sequence[str], places: Mapping[str, str]) -> list[RowLabels]:
        """Labels of a few rows, in order, from where `places` says they are: no other segment is read, or row kept."""
        found = dict[str, RowLabels]()
        for name in sorted({places[key] for key in wanted}):
            table, here = read_segment(self._read(name)), {key for key in wanted if places[key] == name}
            table = table.take([row for row, key in enumerate(table[KEY].to_pylist()) if key in here])
            found |= zip(table[KEY].to_pylist(), rows_in(self.labels.codec, table), strict=True)
        return [found[key] for key in wanted]

    def lookup(self, wanted: list[str]) -> dict[str, RowLabels]:
        """Labels by row key; rows that have none are missing.

        A row labelled twice takes the first segment by id, so every reader sees the same numbers.
        """
        missing, found = set(wanted), dict[str, RowLabels]()
        for keys, rows in self.segments():
            for key, row in zip(keys, rows, strict=True):
                if key in missing:
                    missing.remove(key)
                    found[key] = row
        return found

    def rows(self, wanted: Sequence[str]) -> list[RowLabels]:
        """Labels of the rows with these keys, in order. Raises InputRefused (LabelsMissing) when a row has none."""
        found = self.lookup(list(wanted))
        refuse_missing(set(wanted) - found.keys(), wanted)
        return [found[key] for key in wanted]

    def logits(self, wanted: list[str]) -> tuple[set[str], NDArray[np.float32]]:
        """Keys of rows that have no labels, and logits of all [wanted, vocabulary], NaN for those without.

        For codecs of one position a row.
        """
        found = self.lookup(wanted)
        logits = np.full((len(wanted), self.labels.codec.columns[0].width), np.nan, dtype=np.float32)
        for place, key in enumerate(wanted):
            if key in found:
                logits[place] = found[key]["logits"][0]
        return set(wanted) - found.keys(), logits


def refuse_missing(missing: Collection[str], wanted: Collection[str]) -> None:
    """Raise InputRefused (LabelsMissing) where rows of the wanted ones have no labels."""
    if missing:
        raise InputRefused(
            "LabelsMissing",
            f"{len(missing)} of {len(set(wanted))} rows have no soft labels in storage.uri;"
            " segments were deleted or damaged: apply the job again, its label stage writes them",
        )
