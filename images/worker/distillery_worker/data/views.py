"""How a row is shown: as it is, or in one of several views, which are derived from the row's key and a seed alone.

So the student sees exactly what the teacher was asked about, whoever labels or trains, and in whatever order.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from distillery_api.digests import canonical
from distillery_api.images import Augmentation
from distillery_engine import ImageEncoder, Pixels
from numpy.typing import NDArray

from .files import Rows


class Views:
    """Every row as it is."""

    count = 1

    def key(self, row_key: str, view: int) -> str:
        """Key of a view in the label store."""
        return row_key

    def shown(self, row: Any, row_key: str, view: int) -> Any:
        """What teacher and student are given for a row."""
        return row

    def one_after_other(self, rows: Rows) -> Rows:
        """All rows in their first view, then all in the next."""
        pairs = list(zip(rows.inputs, rows.keys, strict=True))
        every = [(row, key, view) for view in range(self.count) for row, key in pairs]
        return Rows(
            [self.shown(row, key, view) for row, key, view in every],
            None,
            rows.digest,
            [self.key(key, view) for _, key, view in every],
            slices=rows.slices and rows.slices * self.count,
        )

    def keys(self, rows: Rows) -> Iterator[str]:
        """Keys of all views of the rows."""
        return (self.key(key, view) for key in rows.keys for view in range(self.count))

    def all(self, rows: Rows) -> Iterator[tuple[str, Any]]:
        """All views of the rows, with their keys."""
        for row, row_key in zip(rows.inputs, rows.keys, strict=True):
            for view in range(self.count):
                yield self.key(row_key, view), self.shown(row, row_key, view)


@dataclass(frozen=True, slots=True)
class View:
    """An encoded image, moved by pixels of the model's input and perhaps mirrored."""

    image: bytes
    down: int = 0
    right: int = 0
    mirrored: bool = False

    def __len__(self) -> int:
        return 1  # for all: the size of a file tells nothing of what its image costs


@dataclass(frozen=True)
class AugmentedViews(Views):
    """`count` views of an image, each moved and mirrored in its own way."""

    augmentation: Augmentation
    count: int = 1

    def key(self, row_key: str, view: int) -> str:
        """The image's digest and the number of the view."""
        return f"{row_key}/{view}"

    def shown(self, row: bytes, row_key: str, view: int) -> View:
        """The image with what chance, and chance alone by (row key, seed, view), does to it."""
        seed, shift = self.augmentation.seed, self.augmentation.shift
        chance = hashlib.sha256(canonical([row_key, seed, view])).digest()
        down, right = (int.from_bytes(part) % (2 * shift + 1) - shift for part in (chance[:8], chance[8:16]))
        return View(row, down, right, self.augmentation.horizontal_flip and bool(chance[16] & 1))


class ViewEncoder:
    """Decodes images only when their batch is made: a data set of decoded images may not fit into memory."""

    def __init__(self, images: ImageEncoder) -> None:
        self.images = images

    def encode(self, inputs: Sequence[bytes | View]) -> list[View]:
        """Views, of images as they are where none are asked for."""
        return [row if isinstance(row, View) else View(row) for row in inputs]

    def collate(self, rows: Sequence[View]) -> Pixels:
        """One normalised batch."""
        return self.images.collate([self._pixels(row) for row in rows])

    def _pixels(self, row: View) -> NDArray[np.uint8]:
        return moved(self.images.pixels(row.image), row.down, row.right, mirrored=row.mirrored)


def moved(pixels: NDArray[np.uint8], down: int, right: int, *, mirrored: bool) -> NDArray[np.uint8]:
    """The image [height, width, channels] mirrored, then moved; what comes in at the edges is black."""
    height, width, _ = pixels.shape
    source = pixels[:, ::-1] if mirrored else pixels
    out = np.zeros_like(pixels)
    out[max(down, 0) : height + min(down, 0), max(right, 0) : width + min(right, 0)] = source[
        max(-down, 0) : height + min(-down, 0), max(-right, 0) : width + min(-right, 0)
    ]
    return out
