"""Fashion-MNIST as Parquet files of PNG images, split into rows for the teacher, for the student, and held-out ones."""

import gzip
import hashlib
import io
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

IDX = Path("/usr/share/datasets/fashion-mnist")  # Debian package dataset-fashion-mnist
SIDE = 28

# In the order of the data set's label numbers.
GARMENTS = (
    "t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle-boot",
)  # fmt: skip


class Garments(NamedTuple):
    """Images uint8 [n, 28, 28] and label numbers uint8 [n]."""

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]

    def take(self, indices: NDArray[np.int64]) -> "Garments":
        """The rows at these indices."""
        return Garments(self.images[indices], self.labels[indices])


def read_garments(part: str, folder: Path = IDX) -> Garments:
    """The part "train" (60,000) or "t10k" (10,000), each distinct image once, in an order that no generator decides."""
    images = read_idx(folder / f"{part}-images-idx3-ubyte.gz", offset=16).reshape(-1, SIDE, SIDE)
    labels = read_idx(folder / f"{part}-labels-idx1-ubyte.gz", offset=8)
    digests = [hashlib.sha256(image.tobytes()).digest() for image in images]
    first = {digest: index for index, digest in reversed(list(enumerate(digests)))}
    return Garments(images, labels).take(np.array([first[digest] for digest in sorted(first)]))


def read_idx(path: Path, offset: int) -> NDArray[np.uint8]:
    """The bytes behind the header of an IDX file."""
    return np.frombuffer(gzip.decompress(path.read_bytes()), dtype=np.uint8, offset=offset)


def split(garments: Garments, sizes: dict[str, int]) -> dict[str, Garments]:
    """So many rows for each name, from the head of the list on."""
    if len(garments.labels) < sum(sizes.values()):
        raise SystemExit(f"{len(garments.labels)} images do not fill {sizes}; lower a size")
    ends = np.cumsum(list(sizes.values()))
    return {
        name: garments.take(np.arange(end - rows, end)) for (name, rows), end in zip(sizes.items(), ends, strict=True)
    }


def write(path: Path, garments: Garments, *, labelled: bool) -> None:
    """One Parquet file of PNG images, with label names where they are asked for."""
    columns: dict[str, list[bytes] | list[str]] = {"image": [png(image) for image in garments.images]}
    if labelled:
        columns["label"] = [GARMENTS[label] for label in garments.labels]
    pq.write_table(pa.table(columns), path)


def png(image: NDArray[np.uint8]) -> bytes:
    """An image as the bytes of a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()
