"""Recorded columns in files: CSV with a header, or JSON Lines, an object a row."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .errors import GateInputError
from .recorded import MODELS

NEVER_EMPTY = ("gold", "query", "cluster", "slice")


def read_text(path: str) -> str:
    """Raises GateInputError where the file cannot be read."""
    try:
        return Path(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise GateInputError(f"{path}: cannot be read: {error}; name a file of text in UTF-8") from error


def read_columns(path: str, *, labels: bool) -> dict[str, list[Any]]:
    """Values by column. Numbers of a CSV file become numbers, but for answers and gold where these are labels.

    Raises GateInputError, naming line or column and the fix.
    """
    kind = Path(path).suffix
    if kind not in (".csv", ".jsonl"):
        raise GateInputError(f"{path}: is neither .csv nor .jsonl; record the columns as one of both")
    columns = csv_columns(path, labels=labels) if kind == ".csv" else json_columns(path)
    for name in NEVER_EMPTY:
        for place, value in enumerate(columns.get(name, ())):
            if value in ("", None):
                raise GateInputError(f"{name}: item {place} has none; give it, or leave out the row")
    return columns


def csv_columns(path: str, *, labels: bool) -> dict[str, list[Any]]:
    """Columns by the names of the header."""
    rows = csv.reader(io.StringIO(read_text(path), newline=""), strict=True)
    try:
        header, *lines = rows
    except (csv.Error, ValueError) as error:
        raise GateInputError(f"{path}: is no CSV with a header: {error}; name the columns in its first line") from error
    if len(set(header)) < len(header):
        raise GateInputError(f"{path}: a name stands twice in its header, {', '.join(header)}; name each column once")
    for place, line in enumerate(lines):
        if len(line) != len(header):
            raise GateInputError(f"{path}: row {place} has {len(line)} values for {len(header)} columns; give each")
    columns = {name: [line[place] for line in lines] for place, name in enumerate(header)}
    return {**columns, **numbers({name: columns[name] for name in columns if is_number(name, labels=labels)})}


def is_number(name: str, *, labels: bool) -> bool:
    """Whether a column holds numbers, where it can."""
    return (
        name in ("tokens", "contaminated") or name.endswith("_confidence") or (not labels and name in ("gold", *MODELS))
    )


def numbers(columns: dict[str, list[str]]) -> dict[str, list[float]]:
    """Those of the columns whose values all are numbers."""
    found = {}
    for name, values in columns.items():
        try:
            found[name] = [float(value) for value in values]
        except ValueError:
            continue
    return found


def json_columns(path: str) -> dict[str, list[Any]]:
    """Columns by the keys of the first row, which all have."""
    rows = [row for _, row in json_rows(path)]
    names = list(rows[0]) if rows else []
    for place, row in enumerate(rows):
        if row.keys() != set(names):
            name = min(row.keys() ^ set(names))
            raise GateInputError(f"{path}: row 0 and row {place} differ in {name!r}; give every row the same keys")
    return {name: [row[name] for row in rows] for name in names}


def json_rows(path: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each object with the number of its line, from 1. Raises GateInputError at a line that is none."""
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise GateInputError(f"{path}: line {number} is no JSON: {error}; write one object a line") from error
        if not isinstance(row, dict):
            raise GateInputError(f"{path}: line {number} is no object; write one object a line")
        yield number, row
