"""What students' records say: which attempts count, which artifacts there are, which labels they were made from."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from distillery_api.artifact import MANIFEST
from distillery_api.digests import digest_bytes
from distillery_storage import Entry, Prefix

from ..errors import Refused
from .garbage import Published
from .marks import HEX, texts

TRAIN_RECORD = "train.json"
ATTEMPTS = "attempts/"
# Of what was learned, of each teacher's set where there are several, and of a judge's grades.
LABELS = ("labelsKey", "labelsKeys", "gradesKey")


def read_published(storage: Prefix, students: Mapping[str, Sequence[Entry]]) -> dict[str, Published]:
    """By student key. Raises Refused for a record that cannot be read: nobody can tell then what may go."""
    return {key: published(storage, key, entries) for key, entries in students.items()}


def published(storage: Prefix, key: str, entries: Sequence[Entry]) -> Published:
    """One student's records: train.json, and a manifest in each format's folder."""
    names = [entry.path.removeprefix(f"students/{key}/") for entry in entries]
    manifests = [name for name in names if name.count("/") == 1 and name.endswith(f"/{MANIFEST}")]
    record = read_record(storage, f"students/{key}/{TRAIN_RECORD}") if TRAIN_RECORD in names else {}
    digests = (digest_bytes(storage.read(f"students/{key}/{name}")) for name in manifests)
    return Published(
        folders=frozenset(text for text in texts(record) if text.startswith(ATTEMPTS)),
        digests=frozenset(digest.removeprefix("sha256:") for digest in digests),
        labels=frozenset(HEX.findall(str([record.get(name) for name in LABELS]))),
    )


def read_record(storage: Prefix, path: str) -> dict[str, Any]:
    """A training's record as JSON, of whatever version wrote it."""
    try:
        record = json.loads(storage.read(path))
    except ValueError as error:
        raise Refused(f"{storage.uri}/{path}: cannot be read ({error}); restore it, or delete its folder") from error
    return record if isinstance(record, dict) else {}
