"""Filters one after the other, with the count of what each dropped."""

from collections.abc import Callable, Iterable
from itertools import compress
from typing import TypeVar

T = TypeVar("T")
Step = tuple[str, Callable[[list[T]], list[bool]]]  # a filter's name, and which rows it keeps of those it is given


def sift(rows: list[T], steps: Iterable[Step[T]]) -> tuple[list[T], dict[str, int]]:
    """The rows that every filter keeps, in order, and how many each dropped: a row counts for the first that does."""
    dropped = dict[str, int]()
    for name, keeps in steps:
        kept = list(compress(rows, keeps(rows)))
        dropped[name] = len(rows) - len(kept)
        rows = kept
    return rows, dropped
