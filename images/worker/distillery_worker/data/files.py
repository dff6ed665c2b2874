"""Data files: columns of Parquet, CSV or JSON Lines."""

import csv
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from distillery_storage import download_uri
from numpy.typing import NDArray

from ..errors import InputRefused


@dataclass(frozen=True)
class Rows:
    """Rows of one file, in its order. gold: [rows], or None for a file without gold values"""

    inputs: list[Any]
    gold: NDArray[Any] | None
    digest: str
    keys: list[str]  # one per row; equal inputs have equal keys
    groups: list[str] | None = None  # one per row; rows of a group stay on one side of every split
    slices: list[str] | None = None  # one per row, where dataset.columns.slice is set
    contaminated: list[bool] | None = None  # one per held-out row, once it is known: it stands in what is learned from

    def __len__(self) -> int:
        return len(self.inputs)

    def take(self, indices: Sequence[int]) -> "Rows":
        """The rows at these indices, as far as there are any; the digest stays that of the file."""
        chosen = [index for index in indices if index < len(self)]
        return replace(
            self,
            inputs=[self.inputs[index] for index in chosen],
            gold=None if self.gold is None else self.gold[np.array(chosen, dtype=np.int64)],
            keys=[self.keys[index] for index in chosen],
            groups=self.groups and [self.groups[index] for index in chosen],
            slices=self.slices and [self.slices[index] for index in chosen],
            contaminated=self.contaminated and [self.contaminated[index] for index in chosen],
        )


NO_SLICE = "(none)"
ReadGold = Callable[[list[Any], str, str], NDArray[Any]]  # values, field, column


def row_slices(table: dict[str, list[Any]], column: str | None) -> list[str] | None:
    """The slice of each row, NO_SLICE where the column has no value; None without a column."""
    if column is None:
        return None
    return [NO_SLICE if value is None or value == "" else str(value) for value in table[column]]


def fetch_file(uri: str, field: str, workdir: Path) -> Path:
    """A local copy of a file of the dataset. Raises storage errors."""
    path = workdir / f"{field}.{uri.rsplit('.', 1)[-1]}"
    download_uri(uri, path)
    return path


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


def row_groups(values: list[Any], field: str, column: str) -> list[str]:
    """Group names; numbers are read as text. Raises InputRefused (EmptyGroup) naming the first row without one."""
    for number, value in enumerate(values, 1):
        if value is None or value == "":
            raise InputRefused(
                "EmptyGroup", f"dataset.{field}: row {number} has no group in column '{column}'; fill it, say by its id"
            )
    return [str(value) for value in values]


def listed(names: Iterable[str], most: int = 30) -> str:
    """Names in quotes, the first ones if there are many."""
    every = list(names)
    rest = f" and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(f"'{name}'" for name in every[:most]) + rest


def first_line(error: Exception) -> str:
    """The first line of an error's text."""
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
