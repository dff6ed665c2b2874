"""Label sets below a storage prefix: labels/<key>/codec.json and segments/<id>.parquet with <id>.json beside it."""

import hashlib
import io
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from distillery_api.schema import Digest
from distillery_storage import Entry, NotFound, Prefix
from pydantic import BaseModel, ValidationError

from ..errors import Refused

LABELS, SEGMENTS, CODEC, KEY = "labels", "segments", "codec.json", "row_key"


class Record(BaseModel):
    """What stands beside a segment and completes it; other fields are the labelling's own."""

    digest: Digest
    rows: int


@dataclass(frozen=True)
class LabelSet:
    """One teacher's labels, as they are listed; paths of entries are below the set."""

    prefix: Prefix
    entries: Sequence[Entry]

    @property
    def segments(self) -> list[str]:
        """Ids with a record: a segment without one does not exist."""
        return self._ids(".json")

    @property
    def incomplete(self) -> list[str]:
        """Ids without a record: a writer died, or is at it now."""
        return sorted(set(self._ids(".parquet")) - set(self.segments))

    def _ids(self, suffix: str) -> list[str]:
        names = (entry.path.removeprefix(f"{SEGMENTS}/") for entry in self.entries if entry.path != CODEC)
        return sorted(name.removesuffix(suffix) for name in names if name.endswith(suffix) and "/" not in name)

    @property
    def size(self) -> int:
        """Bytes of everything in it."""
        return sum(entry.size for entry in self.entries)

    @property
    def newest(self) -> datetime:
        """When it was last written."""
        return max(entry.modified for entry in self.entries)

    def codec(self) -> dict[str, Any]:
        """What the numbers are. Raises NotFound, and ValueError where it is no JSON object."""
        found = json.loads(self.prefix.read(CODEC))
        if not isinstance(found, dict):
            raise ValueError("is no JSON object")
        return found

    def record(self, segment: str) -> Record:
        """The record of a segment. Raises NotFound, and ValueError where it cannot be read."""
        return Record.model_validate_json(self.prefix.read(f"{SEGMENTS}/{segment}.json"))


@dataclass
class Soundness:
    """What reading every segment of a set found."""

    rows: int = 0
    seen: Counter[str] = field(default_factory=Counter)  # by row key
    damaged: list[str] = field(default_factory=list)  # file and what is wrong with it

    @property
    def repeated(self) -> int:
        """Rows that a reader passes over, since an earlier segment has them."""
        return self.rows - len(self.seen)


def label_sets(storage: Prefix) -> Iterator[LabelSet]:
    """The set at the prefix, or every set below its `labels` folder. Raises Refused where there is none."""
    entries = storage.entries()
    if any(entry.path == CODEC for entry in entries):
        yield LabelSet(storage, entries)
        return
    by_key: dict[str, list[Entry]] = {}
    for entry in entries:
        folder, _, rest = entry.path.partition("/")
        key, _, path = rest.partition("/")
        if folder == LABELS and path:
            by_key.setdefault(key, []).append(Entry(path, entry.size, entry.modified))
    if not by_key:
        raise Refused(f"{storage.uri}: holds no soft labels; name a job's spec.storage.uri, or labels/KEY below it")
    for key, found in by_key.items():
        yield LabelSet(storage.child(f"{LABELS}/{key}"), found)


def verify(labels: LabelSet) -> Soundness:
    """Read everything and compare it with its digests."""
    found = Soundness()
    try:
        labels.codec()
    except (NotFound, ValueError) as error:
        found.damaged.append(f"{CODEC}: {first_line(error)}; the rows cannot be read without it")
    for segment in labels.segments:
        try:
            keys = read_segment(labels, segment)
        except (NotFound, ValueError, pa.ArrowException) as error:
            found.damaged.append(f"{SEGMENTS}/{segment}: {first_line(error)}")
            continue
        found.rows += len(keys)
        found.seen.update(keys)
    return found


def read_segment(labels: LabelSet, segment: str) -> list[str]:
    """Row keys of a segment. Raises ValueError for bytes or a record that are not what was written."""
    record = labels.record(segment)
    data = labels.prefix.read(f"{SEGMENTS}/{segment}.parquet")
    digest = hashlib.sha256(data).hexdigest()
    if digest != segment or record.digest != f"sha256:{segment}":
        raise ValueError(f"is sha256:{digest}, and its record says {record.digest}")
    table = pq.ParquetFile(io.BytesIO(data)).read(columns=[KEY])
    if KEY not in table.column_names:
        raise ValueError(f"has no column {KEY}")
    if table.num_rows != record.rows:
        raise ValueError(f"has {table.num_rows} rows, and its record says {record.rows}")
    keys: list[str] = table[KEY].to_pylist()
    return keys


def first_line(error: Exception) -> str:
    """What went wrong, on one line."""
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        return f"record: {'.'.join(map(str, first['loc']))}: {first['msg']}"
    return (str(error).splitlines() or [type(error).__name__])[0]
