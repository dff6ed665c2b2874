"""How an image becomes model input: decoded, resized and normalised as the artifact says."""

import io
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from distillery_api.artifact import ImagePreprocessing
from numpy.typing import NDArray
from PIL import Image, ImageOps

FORMATS = ("PNG", "JPEG")
MAX_PIXELS = 4096 * 4096  # a small file can hold so large an image that decoding it takes all memory
MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")  # 8 bits a channel

Bytes = NDArray[np.uint8]


class ImageUnreadable(ValueError):  # noqa: N818 - a finding about the input
    """Bytes that are no image that the engine reads; the message says what is wrong with them, `index` with which."""

    index = 0


class Pixels(NamedTuple):
    """Model input: float32 [rows, channels, height, width]."""

    pixel_values: NDArray[np.float32]


class ImageEncoder:
    """Decodes, resizes and normalises encoded images. Thread-safe. Raises ImageUnreadable."""

    def __init__(self, preprocessing: ImagePreprocessing) -> None:
        self.preprocessing = preprocessing
        self._mode = "L" if preprocessing.channels == 1 else "RGB"
        self._resample = Image.Resampling[preprocessing.resample.upper()]
        # (byte * scale - mean) / std as one multiplication and one addition: [channels, 1, 1] each
        std = np.array(preprocessing.std, dtype=np.float64).reshape(-1, 1, 1)
        mean = np.array(preprocessing.mean, dtype=np.float64).reshape(-1, 1, 1)
        self._factor = (preprocessing.scale / std).astype(np.float32)
        self._offset = (-mean / std).astype(np.float32)

    def pixels(self, data: bytes) -> Bytes:
        """The image that the model sees, before it is normalised: uint8 [height, width, channels]."""
        image = decode(data).convert(self._mode)
        array = np.asarray(self._fitted(image), dtype=np.uint8)
        return array.reshape(self.preprocessing.height, self.preprocessing.width, self.preprocessing.channels)

    def _fitted(self, image: Image.Image) -> Image.Image:
        height, width = self.preprocessing.height, self.preprocessing.width
        if (edge := self.preprocessing.shortest_edge) is None:
            return image.resize((width, height), self._resample)
        short = min(image.size)
        size = [edge if side == short else int(edge * side / short) for side in image.size]
        resized = image.resize((size[0], size[1]), self._resample)
        left, top = (resized.width - width) // 2, (resized.height - height) // 2
        return resized.crop((left, top, left + width, top + height))

    def encode(self, images: Sequence[bytes]) -> list[Bytes]:
        """The pixels of each image."""
        rows = []
        for index, image in enumerate(images):
            try:
                rows.append(self.pixels(image))
            except ImageUnreadable as error:
                error.index = index
                raise
        return rows

    def collate(self, rows: Sequence[Bytes]) -> Pixels:
        """Pixels of images (at least one) as one normalised batch."""
        stacked = np.stack(rows).transpose(0, 3, 1, 2)
        return Pixels(np.ascontiguousarray(stacked * self._factor + self._offset, dtype=np.float32))

    def batch(self, images: Sequence[bytes]) -> Pixels:
        """Input of encoded images (at least one)."""
        return self.collate(self.encode(images))


def decode(data: bytes) -> Image.Image:
    """The image, upright. Raises ImageUnreadable, for one that is too large before it takes memory."""
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise ImageUnreadable(f"has more than {MAX_PIXELS} pixels") from error
    except MemoryError:
        raise
    except Exception as error:
        raise ImageUnreadable("is neither a PNG nor a JPEG image") from error
    if image.width * image.height > MAX_PIXELS:
        raise ImageUnreadable(f"has {image.width} x {image.height} pixels, more than {MAX_PIXELS}")
    if image.mode not in MODES:
        raise ImageUnreadable(f"has pixels of mode {image.mode}, not 8 bits a channel")
    try:
        return ImageOps.exif_transpose(image)  # Pillow decodes only now
    except MemoryError:
        raise
    except Exception as error:  # Pillow raises anything for bytes that somebody has tampered with
        raise ImageUnreadable(f"does not decode: {error}") from error
