"""Images as poor cameras give them: noise and blur at the middle severity, 3 of 5, of CIFAR-10-C and ImageNet-C.

Both come from Hendrycks & Dietterich 2019 (ICLR, arXiv 1903.12261), for images of 32 and of 224 pixels. Every function
gives new pixels, uint8 [height, width, channels], for pixels of the size that the model sees and a source of chance.
"""

from collections.abc import Callable

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray
from PIL import Image, ImageFilter

Bytes = NDArray[np.uint8]
SIDES = (32, 224)  # pixels of the shorter side; a size between them is between their severities
NOISE = (0.08, 0.18)  # standard deviation, in units of the range from black to white
BLUR = (0.7, 3.0)  # standard deviation of the kernel, in pixels


def severity(pixels: Bytes, ends: tuple[float, float]) -> float:
    """That of images of this size."""
    return float(np.interp(min(pixels.shape[:2]), SIDES, ends))


def noise(pixels: Bytes, chance: RandomState) -> Bytes:
    """With Gaussian noise on every number."""
    noisy = pixels + 255 * severity(pixels, NOISE) * chance.standard_normal(pixels.shape)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def blur(pixels: Bytes, chance: RandomState) -> Bytes:
    """Under a Gaussian blur."""
    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    blurred = image.filter(ImageFilter.GaussianBlur(severity(pixels, BLUR)))
    return np.asarray(blurred, dtype=np.uint8).reshape(pixels.shape)


ON_IMAGES: dict[str, Callable[[Bytes, RandomState], Bytes]] = {"noise": noise, "blur": blur}
