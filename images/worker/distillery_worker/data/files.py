"""Data files: text and gold labels in Parquet, CSV or JSON Lines, checked row by row."""

import csv
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from distillery_api.digests import digest_of
from distillery_api.distillationjob import Columns
from distillery_storage import download_uri
from distillery_storage.folders import file_digest

from ..errors import InputRefused


@dataclass(frozen=True)
class Rows:
    """Rows of one file, in its order. `labels` are label ids, or None for a file without gold labels."""

    texts: list[str]
    labels: list[int] | None
    digest: str

    @property
    def keys(self) -> list[str]:
        """Row keys, one per row; equal texts have equal keys."""
        return [row_key(text) for text in self.texts]


def row_key(text: str) -> str:
    """Name of a row in the label store: hex SHA-256 of its canonical form. Nothing is normalised."""
    return digest_of({"text": text}).removeprefix("sha256:")


def load_rows(uri: str, field: str, columns: Columns, labels: Sequence[str] | None, workdir: Path) -> Rows:
    """Read a file of the dataset; `field` names it in messages. With `labels`, every row needs one of them.

    Raises InputRefused (DataUnreadable, MissingColumn, EmptyText, UnknownLabel) and storage errors.
    """
    path = workdir / f"{field}.{uri.rsplit('.', 1)[-1]}"
    download_uri(uri, path)
    wanted = [columns.text] if labels is None else [columns.text, columns.label]
    table = read_columns(path, uri, field, wanted)
    texts = checked_texts(table[columns.text], field, columns.text)
    ids = None if labels is None else label_ids(table[columns.label], field, columns.label, labels)
    return Rows(texts, ids, file_digest(path))


def read_columns(path: Path, uri: str, field: str, wanted: list[str]) -> dict[str, list[Any]]:
    """The wanted columns as lists of equal length."""
    readers = {".parquet": read_parquet, ".csv": read_csv, ".jsonl": read_jsonl}
    try:
        table = readers[path.suffix](path, wanted)
    except (pa.ArrowException, ValueError, csv.Error, OSError) as error:
        raise InputRefused(
            "DataUnreadable",
            f"dataset.{field}: {uri} is not a readable {path.suffix[1:]} file: {first_line(error)}; write it again",
        ) from error
    for name in wanted:
        if name not in table:
            raise InputRefused(
                "MissingColumn",
                f"dataset.{field}: {uri} has no column '{name}', only {listed(table)};"
                " set dataset.columns or rename the column",
            )
    return table


def read_parquet(path: Path, wanted: list[str]) -> dict[str, list[Any]]:
    """All column names, but values of the wanted ones alone."""
    file = pq.ParquetFile(path)
    names = file.schema_arrow.names
    present = [name for name in wanted if name in names]
    return {**{name: [] for name in names}, **file.read(columns=present).to_pydict()}


def read_csv(path: Path, wanted: list[str]) -> dict[str, list[Any]]:
    """A CSV file with a header line, UTF-8."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file, strict=True)
        rows = list(reader)
    return {name: [row[name] for row in rows] for name in reader.fieldnames or []}


def read_jsonl(path: Path, wanted: list[str]) -> dict[str, list[Any]]:
    """One JSON object per line; a column exists if any line has it."""
    with path.open(encoding="utf-8") as file:
        rows = [json.loads(line) for line in file if line.strip()]
    if not all(isinstance(row, dict) for row in rows):
        raise ValueError("a line is not a JSON object")
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


def checked_texts(values: list[Any], field: str, column: str) -> list[str]:
    """The texts, or InputRefused naming the first row (counted from 1) that has none."""
    for number, value in enumerate(values, 1):
        if not isinstance(value, str) or not value.strip():
            raise InputRefused(
                "EmptyText", f"dataset.{field}: row {number} has no text in column '{column}'; remove or fill the row"
            )
    return values


def label_ids(values: list[Any], field: str, column: str, labels: Sequence[str]) -> list[int]:
    """Label ids by name; whole numbers are read as names."""
    index = {label: number for number, label in enumerate(labels)}
    names = [str(value) if isinstance(value, int) else value for value in values]
    for number, name in enumerate(names, 1):
        if name not in index:
            raise InputRefused(
                "UnknownLabel",
                f"dataset.{field}: row {number} has label {name!r} in column '{column}', which the teacher does not"
                f" know; it knows {listed(labels)}: correct the row, or id2label in the teacher's config.json",
            )
    return [index[name] for name in names]


def listed(names: Iterable[str], most: int = 30) -> str:
    """Names in quotes, the first ones if there are many."""
    every = list(names)
    rest = f" and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(f"'{name}'" for name in every[:most]) + rest


def first_line(error: Exception) -> str:
    """The first line of an error's text."""
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
