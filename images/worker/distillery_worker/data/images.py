"""Rows of images and their gold values."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from distillery_api.dataset import Columns
from distillery_engine import ImageUnreadable, decode
from distillery_storage.folders import file_digest

from ..errors import InputRefused
from .contamination import named_alike
from .files import ReadGold, Rows, fetch_file, read_columns, row_groups, row_slices


def image_key(image: bytes) -> str:
    """Name of a row in the label store: hex SHA-256 of the encoded image."""
    return hashlib.sha256(image).hexdigest()


def load_images(uri: str, field: str, columns: Columns, read_gold: ReadGold | None, workdir: Path) -> Rows:
    """Read a file of the dataset; `field` names it in messages. With `read_gold`, every row needs a gold value.

    Every image is decoded once, so that a broken one is refused before anything is computed on the others. Raises
    InputRefused (DataUnreadable, MissingColumn, ImageUnreadable, EmptyGroup, those of read_gold) and storage errors.
    """
    if not uri.endswith(".parquet"):
        raise InputRefused("DataUnreadable", f"dataset.{field}: {uri} is no .parquet file; images come in those alone")
    path = fetch_file(uri, field, workdir)
    wanted = [columns.image, read_gold and columns.label, columns.group, columns.slice]
    table = read_columns(path, uri, field, [column for column in wanted if column])
    images = [encoded(value) for value in table[columns.image]]
    for number, image in enumerate(images, 1):
        if (problem := fault(image)) is not None:
            raise InputRefused(
                "ImageUnreadable",
                f"dataset.{field}: row {number} of column '{columns.image}' {problem}; remove or mend the row",
            )
    gold = None if read_gold is None else read_gold(table[columns.label], field, columns.label)
    groups = row_groups(table[columns.group], field, columns.group) if columns.group else None
    slices = row_slices(table, columns.slice)
    return Rows(images, gold, file_digest(path), [image_key(image) for image in images], groups, slices)


def contaminated_images(test: Rows, learned: Sequence[Rows]) -> list[bool]:
    """Which test rows have their group or their picture among the rows to learn from: [rows]

    A picture is what its file decodes to: another one without loss, or with other metadata, is the same.
    """
    known = {picture_digest(image) for rows in learned for image in rows.inputs}
    _, groups = named_alike(test, learned)
    return [group or picture_digest(image) in known for image, group in zip(test.inputs, groups, strict=True)]


def picture_digest(image: bytes) -> bytes:
    """SHA-256 of an image's pixels, in colour and upright, and its size."""
    pixels = decode(image).convert("RGBA")
    return hashlib.sha256(repr(pixels.size).encode() + pixels.tobytes()).digest()


def encoded(value: Any) -> Any:
    """The bytes of a cell: bytes, or {bytes, path} as Hugging Face's datasets write it."""
    return value.get("bytes") if isinstance(value, dict) else value


def fault(image: Any) -> str | None:
    """What keeps a cell from being an image, as the end of a sentence."""
    if not isinstance(image, bytes):
        return "has no encoded image"
    try:
        decode(image)
    except ImageUnreadable as error:
        return str(error)
    return None
