"""Rows that are not learned from, and how many for what reason: dataset.filters, as far as they need no teacher."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from distillery_api.filters import Filters, Length

from ..errors import InputRefused
from .contamination import HeldOut
from .files import Rows
from .language import in_another_language
from .near_duplicates import NearDuplicates

LEARNED = ("train", "unlabelled")


class Row(NamedTuple):
    """One row to learn from."""

    field: str
    number: int  # in its file, from 0
    key: str
    text: str
    group: str | None


Keeps = Callable[[Row], bool]


@dataclass(frozen=True)
class Curated:
    """What is left of each file, and how many rows to learn from each filter dropped, in the order of the filters."""

    files: dict[str, Rows]
    dropped: dict[str, int]

    def learned(self) -> list[Rows]:
        """The files to learn from."""
        return [self.files[field] for field in LEARNED if field in self.files]


def curate(files: dict[str, Rows], filters: Filters) -> Curated:
    """Apply the filters to train and unlabelled, one after the other; the same files give the same rows everywhere.

    `test` is needed by contamination alone, and is left as it is. Raises InputRefused (TestInTraining).
    """
    left, dropped = list(learned_rows(files)), dict[str, int]()
    for name, prepare in row_filters(filters, files.get("test")):
        keeps = prepare(left)
        kept = [row for row in left if keeps(row)]
        dropped[name] = len(left) - len(kept)
        left = kept
    if filters.contamination and filters.contamination.on_found == "Refuse":
        refuse_contamination(dropped["contamination"])
    indices = {field: [row.number for row in left if row.field == field] for field in LEARNED if field in files}
    return Curated(files | {field: files[field].take(rows) for field, rows in indices.items()}, dropped)


def learned_rows(files: dict[str, Rows]) -> Iterator[Row]:
    """Rows of train, then of unlabelled: of equal rows the labelled one comes first."""
    for field in LEARNED:
        if field in files:
            rows = files[field]
            groups = rows.groups or itertools.repeat(None, len(rows))
            yield from map(Row, itertools.repeat(field), range(len(rows)), rows.keys, rows.inputs, groups)


def row_filters(filters: Filters, test: Rows | None) -> Iterator[tuple[str, Callable[[list[Row]], Keeps]]]:
    """Name of each wanted filter, and what makes it from the rows that it is given."""
    if (length := filters.length) is not None:
        yield "length", lambda _: within(length)
    if (language := filters.language) is not None:
        yield "language", lambda _: lambda row: not in_another_language(row.text, language.keep)
    if filters.contamination is not None and test is not None:
        yield "contamination", lambda rows: apart_from(test, rows)
    if filters.dedupe is not None:
        yield "duplicates", lambda _: first_of_equals()
        if (near := filters.dedupe.near) is not None:
            yield "nearDuplicates", lambda _: first_of_nearly_equals(near.threshold)


def within(length: Length) -> Keeps:
    """Whether a row's text has as many characters as wanted."""
    low, high = length.min_characters or 0, length.max_characters or float("inf")
    return lambda row: low <= len(row.text) <= high


def apart_from(test: Rows, rows: list[Row]) -> Keeps:
    """Whether a row is none of the test rows, nor of their groups."""
    held_out = HeldOut(test.inputs, (row.text for row in rows))
    groups = set(test.groups or ())
    return lambda row: row.group not in groups and not held_out.has(row.text)


def first_of_equals() -> Keeps:
    """Whether no row with this key came before."""
    seen = set[str]()

    def keeps(row: Row) -> bool:
        new = row.key not in seen
        seen.add(row.key)
        return new

    return keeps


def first_of_nearly_equals(threshold: float) -> Keeps:
    """Whether no row that was kept before is nearly equal."""
    kept = NearDuplicates(threshold)

    def keeps(row: Row) -> bool:
        new = not kept.has_like(row.text)
        if new:
            kept.add(row.text)
        return new

    return keeps


def refuse_contamination(count: int) -> None:
    """Raise InputRefused when there are rows that tell of test rows."""
    if count:
        raise InputRefused(
            "TestInTraining",
            f"dataset.train and unlabelled: {count} rows repeat test rows, in part or nearly, or are of their groups;"
            " remove them from the files, or set filters.contamination.onFound: Remove",
        )
