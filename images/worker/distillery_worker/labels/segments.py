"""Rows of labels as the bytes of one Parquet file, and back.

Each column of the codec is a list per row, position after position; a text is a string. Ids stand as `<column>_gaps`,
each less the id before it in its position. Of ids that repeat only the different ones do; `<column>_new` has a bit for
each draw, 1 where its id is another one than that of the draw before, and each position's bits begin a byte.
"""

import io
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from .codecs import Codec, Column

Numbers = NDArray[np.generic]
RowLabels = dict[str, Numbers]  # by column of the codec: [positions, width]


class LabelledRows(Protocol):
    """Labels of rows, of which some or all may be read only when they are asked for."""

    def __len__(self) -> int: ...

    def __getitem__(self, row: int, /) -> RowLabels: ...


KEY, GAPS, NEW = "row_key", "_gaps", "_new"
# Gaps are mostly small: with their high bytes side by side, a thorough zstd is worth its time.
GAPS_LEVEL = 9


def encode_segment(codec: Codec, keys: list[str], rows: list[RowLabels]) -> bytes:
    """The rows as a Parquet file; equal input gives equal bytes."""
    table = table_of(codec, keys, rows)
    gaps = [f"{name}.list.element" for name in table.column_names if name.endswith(GAPS)]
    buffer = io.BytesIO()
    pq.write_table(
        table,
        buffer,
        compression="zstd",
        compression_level=dict.fromkeys(gaps, GAPS_LEVEL),
        use_dictionary=False,
        write_statistics=False,  # the largest and the smallest list of bits would stand there once more
        column_encoding=dict.fromkeys(gaps, "BYTE_STREAM_SPLIT"),
    )
    return buffer.getvalue()


def decode_segment(codec: Codec, data: bytes) -> tuple[list[str], list[RowLabels]]:
    """Keys and labels of a segment's rows, as they were encoded."""
    table = read_segment(data)
    return table[KEY].to_pylist(), rows_in(codec, table)


def read_segment(data: bytes) -> pa.Table:
    """The columns of a segment's file."""
    return pq.ParquetFile(io.BytesIO(data)).read()


def table_of(codec: Codec, keys: list[str], rows: list[RowLabels]) -> pa.Table:
    """Rows as columns of the file."""
    arrays = {KEY: pa.array(keys, pa.string())}
    for column in codec.columns:
        arrays |= stored(column, [row[column.name] for row in rows])
    return pa.table(arrays)


def rows_in(codec: Codec, table: pa.Table) -> list[RowLabels]:
    """The rows of such columns, as they were."""
    by_column = {column.name: restored(column, table) for column in codec.columns}
    return [{name: rows[row] for name, rows in by_column.items()} for row in range(len(table))]


def stored(column: Column, rows: list[Numbers]) -> dict[str, pa.Array]:
    """A column of the codec as columns of the file."""
    if column.holds == "text":
        return {column.name: pa.array([row.item() for row in rows], pa.string())}
    values = np.concatenate(rows or [np.zeros((0, column.width), column.dtype)])
    ends = np.cumsum([0, *map(len, rows)])
    if column.holds == "numbers":
        return {column.name: lists(values, ends * column.width)}
    gaps = np.diff(values.astype(np.int32), axis=1, prepend=0)
    if column.holds == "ids":
        return {column.name + GAPS: lists(gaps, ends * column.width)}
    new = gaps > 0
    new[:, 0] = True
    before = np.cumsum([0, *new.sum(axis=1)])  # different ids before each position
    bits = [np.packbits(row, axis=1).tobytes() for row in np.split(new, ends[1:-1])][: len(rows)]
    return {column.name + GAPS: lists(gaps[new], before[ends]), column.name + NEW: pa.array(bits, pa.binary())}


def restored(column: Column, table: pa.Table) -> list[Numbers]:
    """What `stored` was given, as views of one array."""
    if column.holds == "text":
        return [np.array([[text]], dtype=object) for text in table[column.name].to_pylist()]
    if column.holds == "numbers":
        return np.split(*positions(table[column.name], column.width))
    if column.holds == "ids":
        gaps, ends = positions(table[column.name + GAPS], column.width)
    else:
        gaps, ends = repeated_gaps(table[column.name + GAPS], table[column.name + NEW].to_pylist(), column.width)
    return np.split(np.cumsum(gaps, axis=1, dtype=np.int32), ends)


def repeated_gaps(gaps: pa.ChunkedArray, bits: list[bytes], width: int) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """The gaps of all draws [positions, width], 0 for an id drawn again, and where rows but the first begin."""
    size = -(-width // 8)  # bytes of a position
    packed = np.frombuffer(b"".join(bits), np.uint8).reshape(-1, size)
    new = np.unpackbits(packed, axis=1, count=width).astype(bool)
    every = np.zeros(new.shape, np.int32)
    every[new] = gaps.combine_chunks().flatten().to_numpy()
    return every, np.cumsum([len(row) // size for row in bits], dtype=np.int64)[:-1]


def positions(column: pa.ChunkedArray, width: int) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """A list column's values [positions, width], and the positions at which its rows but the first begin."""
    array = column.combine_chunks()
    return array.flatten().to_numpy(zero_copy_only=False).reshape(-1, width), array.offsets.to_numpy()[1:-1] // width


def lists(values: Numbers, ends: NDArray[np.int64]) -> pa.LargeListArray:
    """A list per row of the values between two ends."""
    return pa.LargeListArray.from_arrays(pa.array(ends, pa.int64()), pa.array(values.reshape(-1)))
