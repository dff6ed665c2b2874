"""`distillery labels inspect|verify URI`: what soft labels are stored, and whether they are what was written."""

import argparse
import json
from typing import Any

from distillery_storage import NotFound, open_prefix

from .labels.label_sets import LabelSet, Soundness, label_sets, verify
from .sizes import bytes_text, day

LONGEST = 72  # characters of a codec's value
SOUND, DAMAGED = 0, 1


def inspect_labels(options: argparse.Namespace) -> int:
    """Print each set from its listing and records; 0."""
    for labels in label_sets(open_prefix(options.uri)):
        print("\n".join([*described(labels), ""]))
    return SOUND


def verify_labels(options: argparse.Namespace) -> int:
    """Read every byte; 0 where all are sound, 1 with the damaged ones named."""
    code = SOUND
    for labels in label_sets(open_prefix(options.uri)):
        found = verify(labels)
        print(f"{labels.prefix.uri}: {verified(labels, found)}")
        for words in found.damaged:
            code = DAMAGED
            print(f"damaged: {labels.prefix.uri}/{words}")
        if found.damaged:
            print("Delete a damaged segment (.json first); the next job labels its rows again.")
    return code


def verified(labels: LabelSet, found: Soundness) -> str:
    """The numbers of a set that was read."""
    sound = len(labels.segments) - sum(not words.startswith("codec") for words in found.damaged)
    counts = f"{sound} of {len(labels.segments)} segments sound, {found.rows} rows, {found.repeated} of them repeated"
    return f"{counts}, {len(labels.incomplete)} incomplete, {bytes_text(labels.size)}"


def described(labels: LabelSet) -> list[str]:
    """A set's codec and counts, without reading a segment."""
    rows = [rows_of(labels, segment) for segment in labels.segments]
    known = sum(count for count in rows if count is not None)
    lines = [labels.prefix.uri, *(f"  {name}: {shown(value)}" for name, value in codec_of(labels).items())]
    lines += [f"  segments: {len(rows)}", f"  rows: {known}", f"  bytes: {labels.size} ({bytes_text(labels.size)})"]
    if known:
        lines.append(f"  bytes per row: {labels.size / known:.1f}")
    if unread := rows.count(None):
        lines.append(f"  unreadable records: {unread}; see distillery labels verify")
    return [*lines, f"  incomplete segments: {len(labels.incomplete)}", f"  last written: {day(labels.newest)}"]


def codec_of(labels: LabelSet) -> dict[str, Any]:
    """The codec, or why it cannot be read."""
    try:
        return labels.codec()
    except (NotFound, ValueError) as error:
        return {"codec.json": f"cannot be read: {error}"}


def rows_of(labels: LabelSet, segment: str) -> int | None:
    """The rows that a segment's record tells of."""
    try:
        return labels.record(segment).rows
    except ValueError:
        return None


def shown(value: Any) -> str:
    """A value of the codec, cut where it is long."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
