"""Rows under a perturbation. What chance does to a row is derived from its key alone, whatever its batch and order."""

import hashlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from distillery_api.digests import canonical
from distillery_api.robustness import Perturbation
from numpy.random import RandomState

from ..data.files import Rows
from ..teachers.teacher import Encoder
from .images import ON_IMAGES, Bytes
from .texts import ON_TEXTS


def chance_of(name: Perturbation, row_key: str) -> RandomState:
    """The source of chance for a row. NumPy promises that a RandomState draws the same in all of its versions."""
    seed = hashlib.sha256(canonical([name, row_key])).digest()
    return RandomState(np.frombuffer(seed, dtype="<u4"))


class KeyedImage(NamedTuple):
    """An encoded image and its row key."""

    image: bytes
    key: str


class ImagePerturbation:
    """Changes pixels between their encoder and the model: at the size that the model sees they mean the same."""

    def __init__(self, name: Perturbation, images: Encoder) -> None:
        self.name, self.images = name, images

    def encode(self, inputs: Sequence[KeyedImage]) -> list[Bytes]:
        """The changed pixels of each image."""
        pixels = self.images.encode([each.image for each in inputs])
        change = ON_IMAGES[self.name]
        return [change(each, chance_of(self.name, row.key)) for each, row in zip(pixels, inputs, strict=True)]

    @property
    def collate(self) -> Callable[[Sequence[Any]], NamedTuple]:
        """As for images that are not changed."""
        return self.images.collate


def perturbed(name: Perturbation, rows: Rows, encoder: Encoder) -> tuple[Sequence[Any], Encoder]:
    """The inputs under a perturbation, and the encoder that they need."""
    if name in ON_TEXTS:
        change = ON_TEXTS[name]
        texts = zip(rows.inputs, rows.keys, strict=True)
        return [change(text, chance_of(name, key)) for text, key in texts], encoder
    return list(map(KeyedImage, rows.inputs, rows.keys)), ImagePerturbation(name, encoder)
