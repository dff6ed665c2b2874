"""Rows of text, alone or with the query that it answers, and their gold values."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from distillery_api.dataset import Columns
from distillery_api.digests import digest_of
from distillery_engine import Text
from distillery_storage.folders import file_digest
from torch import Tensor

from ..errors import InputRefused
from .files import ReadGold, Rows, fetch_file, read_columns, row_groups, row_slices


def row_key(text: Text) -> str:
    """Name of a row in the label store: hex SHA-256 of its canonical form. Nothing is normalised."""
    row = {"text": text} if isinstance(text, str) else {"query": text[0], "text": text[1]}
    return digest_of(row).removeprefix("sha256:")


def load_texts(uri: str, field: str, columns: Columns, read_gold: ReadGold | None, workdir: Path) -> Rows:
    """Read a file of the dataset; `field` names it in messages. With `read_gold`, every row needs a gold value.

    Raises InputRefused (DataUnreadable, MissingColumn, EmptyText, EmptyGroup, those of read_gold) and storage errors.
    """
    path = fetch_file(uri, field, workdir)
    wanted = [columns.query, columns.text, read_gold and columns.label, columns.group, columns.slice]
    table = read_columns(path, uri, field, [column for column in wanted if column])
    texts: list[Text] = list(checked_texts(table[columns.text], field, columns.text))
    if columns.query:
        queries = checked_texts(table[columns.query], field, columns.query)
        texts = list(zip(queries, table[columns.text], strict=True))
    gold = None if read_gold is None else read_gold(table[columns.label], field, columns.label)
    groups = row_groups(table[columns.group], field, columns.group) if columns.group else None
    slices = row_slices(table, columns.slice)
    return Rows(texts, gold, file_digest(path), [row_key(text) for text in texts], groups, slices)


def query_numbers(inputs: Sequence[Any]) -> Tensor | None:
    """Equal numbers for rows with the same query: int64 [rows]; None where rows are no pairs of query and text."""
    if not inputs or not isinstance(inputs[0], tuple):
        return None
    numbers = {query: number for number, query in enumerate(dict.fromkeys(query for query, _ in inputs))}
    return torch.tensor([numbers[query] for query, _ in inputs])


def whole_text(text: Text) -> str:
    """Query and text, or prompt and response, as one text."""
    return text if isinstance(text, str) else "\n".join(text)


def checked_texts(values: list[Any], field: str, column: str) -> list[str]:
    """The texts, or InputRefused naming the first row (counted from 1) that has none."""
    for number, value in enumerate(values, 1):
        if not isinstance(value, str) or not value.strip():
            raise InputRefused(
                "EmptyText", f"dataset.{field}: row {number} has no text in column '{column}'; remove or fill the row"
            )
    return values
