"""Rows and bytes of text of a data file, from a Parquet file's footer or by counting a small file of another kind."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq
from distillery_storage import StorageError, open_prefix
from distillery_storage.prefix import split_uri

FOOTER = 1024 * 1024  # bytes that hold the footer of a Parquet file with thousands of row groups
COUNTED = 64 * 1024 * 1024  # bytes of a .csv or .jsonl file that is read to count its rows


@dataclass(frozen=True)
class DataFile:
    """What is known of one file. `text_bytes`: of the columns that models read, before tokenization."""

    uri: str
    rows: int | None = None
    text_bytes: int | None = None
    unknown: str = ""  # why something is unknown


def measure_file(uri: str, columns: Sequence[str]) -> DataFile:
    """Read as little as tells the numbers. Never raises for what storage or the file is like: it says so."""
    folder, name = split_uri(uri)
    try:
        data, size = open_prefix(folder).tail(name, FOOTER if name.endswith(".parquet") else COUNTED)
        if name.endswith(".parquet"):
            return measure_footer(uri, columns, data)
        if len(data) < size:
            return DataFile(uri, unknown=f"{size} bytes are more than are counted; write it as .parquet")
        return measure_text(uri, data)
    except (StorageError, pa.ArrowException, ValueError, csv.Error) as error:
        return DataFile(uri, unknown=(str(error).splitlines() or [type(error).__name__])[0])


def measure_footer(uri: str, columns: Sequence[str], data: bytes) -> DataFile:
    """By the footer: rows exactly, text by the size of its columns' chunks before compression."""
    metadata = pq.read_metadata(io.BytesIO(data))
    groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    chunks = [group.column(index) for group in groups for index in range(group.num_columns)]
    sizes = dict.fromkeys(columns, 0)
    for chunk in chunks:
        if chunk.path_in_schema in sizes:
            sizes[chunk.path_in_schema] += chunk.total_uncompressed_size
    if lacking := [f"'{column}'" for column, size in sizes.items() if not size]:
        return DataFile(uri, metadata.num_rows, unknown=f"has no column {' and '.join(lacking)}")
    return DataFile(uri, metadata.num_rows, sum(sizes.values()) if sizes else None)


def measure_text(uri: str, data: bytes) -> DataFile:
    """By reading every line; the text is at most the file."""
    if uri.endswith(".csv"):
        lines = csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True)
        return DataFile(uri, max(0, sum(1 for line in lines if line) - 1), len(data))
    return DataFile(uri, sum(1 for line in data.splitlines() if line.strip()), len(data))
