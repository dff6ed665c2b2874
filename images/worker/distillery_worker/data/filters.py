"""Rows that are not learned from, and how many for what reason: dataset.filters, as far as they need no teacher."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from distillery_api.filters import Filters, Length
from distillery_api.schema import Model

from ..errors import InputRefused
from .contamination import HeldOut
from .files import Rows
from .language import in_another_language
from .near_duplicates import first_of_like
from .sifting import Step, sift
from .text import whole_text

LEARNED = ("train", "unlabelled")


class Row(NamedTuple):
    """One row to learn from."""

    field: str
    number: int  # in its file, from 0
    key: str
    input: Any  # a text, a pair or an encoded image
    group: str | None

    @property
    def text(self) -> str:
        """What filters read."""
        return whole_text(self.input)


@dataclass(frozen=True)
class Curated:
    """What is left of each file, and how many rows to learn from each filter dropped, in the order of the filters."""

    files: dict[str, Rows]
    dropped: dict[str, int]

    def learned(self) -> list[Rows]:
        """The files to learn from."""
        return [self.files[field] for field in LEARNED if field in self.files]


class Selection(Model):
    """Which rows the filters keep, by their number in each file to learn from, and how many each filter dropped."""

    rows: dict[str, list[int]]
    dropped: dict[str, int]

    def of(self, files: dict[str, Rows]) -> Curated:
        """The selected rows, and the other files as they are."""
        return Curated(files | {field: files[field].take(rows) for field, rows in self.rows.items()}, self.dropped)


def select_rows(files: dict[str, Rows], filters: Filters) -> Selection:
    """Apply the filters to train and unlabelled, one after the other.

    `test` is needed by contamination alone. Raises InputRefused (TestInTraining).
    """
    left, dropped = sift(list(learned_rows(files)), row_filters(filters, files))
    if filters.contamination and filters.contamination.on_found == "Refuse":
        refuse_contamination(dropped["contamination"])
    rows = {field: [row.number for row in left if row.field == field] for field in LEARNED if field in files}
    return Selection(rows=rows, dropped=dropped)


def learned_rows(files: dict[str, Rows]) -> Iterator[Row]:
    """Rows of train, then of unlabelled: of equal rows the labelled one comes first."""
    for field in LEARNED:
        if field in files:
            rows = files[field]
            groups = rows.groups or itertools.repeat(None, len(rows))
            yield from map(Row, itertools.repeat(field), range(len(rows)), rows.keys, rows.inputs, groups)


def row_filters(filters: Filters, files: dict[str, Rows]) -> Iterator[Step[Row]]:
    """The wanted filters, in their order."""
    if (length := filters.length) is not None:
        yield "length", lambda rows: within(rows, length)
    if (language := filters.language) is not None:
        yield "language", lambda rows: [not in_another_language(row.text, language.keep) for row in rows]
    if filters.contamination is not None:
        yield "contamination", lambda rows: apart_from(rows, files["test"])
    if filters.dedupe is not None:
        yield "duplicates", first_of_equals
        if (near := filters.dedupe.near) is not None:
            yield "nearDuplicates", lambda rows: first_of_like([row.text for row in rows], near.threshold)


def within(rows: Sequence[Row], length: Length) -> list[bool]:
    """Which texts have as many characters as wanted."""
    low, high = length.min_characters or 0, length.max_characters or float("inf")
    return [low <= len(row.text) <= high for row in rows]


def apart_from(rows: Sequence[Row], test: Rows) -> list[bool]:
    """Which rows are none of the test rows, nor of their groups."""
    held_out = HeldOut([whole_text(text) for text in test.inputs], (row.text for row in rows))
    groups, keys = set(test.groups or ()), set(test.keys)
    return [row.group not in groups and row.key not in keys and not held_out.has(row.text) for row in rows]


def first_of_equals(rows: Sequence[Row]) -> list[bool]:
    """Which rows have a key that no row before them has."""
    first = dict[str, Row]()
    return [first.setdefault(row.key, row) is row for row in rows]


def refuse_contamination(count: int) -> None:
    """Raise InputRefused when there are rows that tell of test rows."""
    if count:
        raise InputRefused(
            "TestInTraining",
            f"dataset.train and unlabelled: {count} rows repeat test rows, in part or nearly, or are of their groups;"
            " remove them from the files, or set filters.contamination.onFound: Remove",
        )
