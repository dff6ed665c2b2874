"""Rows of labels as the bytes of one Parquet file, and back."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from .codecs import Codec, Column

RowLabels = dict[str, NDArray[np.generic]]  # by column: [positions, width]

KEY = "row_key"
# Gaps between sorted ids are mostly small: with their high bytes side by side, a thorough zstd is worth its time.
ID_LEVEL = 9


def encode_segment(codec: Codec, keys: list[str], rows: list[RowLabels]) -> bytes:
    """A Parquet file of `row_key` and, for each column of the codec, a list per row: position after position.

    Sorted ids stand as `<column>_gaps`, each less the id before it in its position. Equal input gives equal bytes.
    """
    ids = [path_of(column) for column in codec.columns if column.sorted_ids]
    lists = [as_lists(column, [row[column.name] for row in rows]) for column in codec.columns]
    table = pa.table([pa.array(keys, pa.string()), *lists], names=[KEY, *map(stored_name, codec.columns)])
    buffer = io.BytesIO()
    pq.write_table(
        table,
        buffer,
        compression="zstd",
        compression_level=dict.fromkeys(ids, ID_LEVEL),
        use_dictionary=False,
        column_encoding=dict.fromkeys(ids, "BYTE_STREAM_SPLIT"),
    )
    return buffer.getvalue()


def decode_segment(codec: Codec, data: bytes) -> tuple[list[str], list[RowLabels]]:
    """Keys and labels of a segment's rows, as they were encoded."""
    table = pq.read_table(io.BytesIO(data))
    by_column = {column.name: from_lists(column, table[stored_name(column)]) for column in codec.columns}
    keys = table[KEY].to_pylist()
    return keys, [{name: rows[row] for name, rows in by_column.items()} for row in range(len(keys))]


def stored_name(column: Column) -> str:
    """A column's name in the file."""
    return f"{column.name}_gaps" if column.sorted_ids else column.name


def path_of(column: Column) -> str:
    """Parquet's path of a list column's values."""
    return f"{stored_name(column)}.list.element"


def as_lists(column: Column, rows: list[NDArray[np.generic]]) -> pa.LargeListArray:
    """One list per row of the numbers of all its positions."""
    ends = np.cumsum([0, *(row.size for row in rows)], dtype=np.int64)
    values = np.concatenate(rows) if rows else np.zeros((0, column.width))
    values = values.astype(column.dtype, casting="equiv" if rows else "unsafe", copy=False)
    if column.sorted_ids:
        values = np.diff(values, axis=1, prepend=values.dtype.type(0))
    return pa.LargeListArray.from_arrays(pa.array(ends), pa.array(values.reshape(-1)))


def from_lists(column: Column, lists: pa.ChunkedArray) -> list[NDArray[np.generic]]:
    """What `as_lists` was given, as views of one array."""
    array = lists.combine_chunks()
    values = array.flatten().to_numpy().reshape(-1, column.width)
    if column.sorted_ids:
        values = np.cumsum(values, axis=1, dtype=column.dtype)
    ends = array.offsets.to_numpy() // column.width
    return np.split(values, ends[1:-1]) if len(ends) > 1 else []
