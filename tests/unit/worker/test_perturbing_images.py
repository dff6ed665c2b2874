"""Noisy and blurred images: the same for the same row, at the size that the model sees."""

import io
from typing import Any

import numpy as np
import pytest
from distillery_api.artifact import ImagePreprocessing
from distillery_engine import ImageEncoder
from distillery_worker.data.files import Rows
from distillery_worker.data.images import image_key
from distillery_worker.perturbing.images import ON_IMAGES, severity
from distillery_worker.perturbing.rows import chance_of, perturbed
from numpy.typing import NDArray
from PIL import Image

GREY = np.full((28, 28, 1), 128, dtype=np.uint8)


def changed(name: Any, pixels: NDArray[np.uint8], key: str = "key") -> NDArray[np.uint8]:
    return ON_IMAGES[name](pixels, chance_of(name, key))


def edge(side: int, channels: int = 3) -> NDArray[np.uint8]:
    """Black on the left, white on the right."""
    pixels = np.zeros((side, side, channels), dtype=np.uint8)
    pixels[:, side // 2 :] = 255
    return pixels


def png(number: int, mode: str = "RGB", size: tuple[int, int] = (40, 30)) -> bytes:
    random, buffer = np.random.default_rng(number), io.BytesIO()
    pixels = random.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).convert(mode).save(buffer, "PNG")
    return buffer.getvalue()


def encoder(channels: int) -> ImageEncoder:
    return ImageEncoder(
        ImagePreprocessing(
            height=16, width=20, channels=channels, resample="bilinear", scale=1 / 255, mean=[0.5] * channels,
            std=[0.5] * channels,
        )
    )  # fmt: skip


def test_noise_has_the_severity_of_its_size() -> None:
    for side, share in ((28, 0.08), (32, 0.08), (128, 0.13), (224, 0.18), (448, 0.18)):
        grey = np.full((side, side, 3), 128, dtype=np.uint8)
        noisy = changed("noise", grey).astype(float)
        assert noisy.mean() == pytest.approx(128, abs=1)
        assert noisy.std() / 255 == pytest.approx(share, rel=0.05)


def test_noise_stays_between_black_and_white() -> None:
    noisy = changed("noise", edge(32))
    assert (noisy.dtype, noisy.min(), noisy.max()) == (np.uint8, 0, 255)


def test_blur_spreads_an_edge_as_far_as_its_size_asks() -> None:
    for side, sigma in ((28, 0.7), (32, 0.7), (224, 3.0)):
        slope = np.diff(changed("blur", edge(side))[side // 2, :, 0].astype(float)) / 255
        places = np.arange(side - 1)
        mean = (slope * places).sum()
        assert slope.sum() == pytest.approx(1)
        assert (slope * (places - mean) ** 2).sum() ** 0.5 == pytest.approx(sigma, rel=0.15)


def test_blur_leaves_an_image_of_one_colour() -> None:
    assert np.array_equal(changed("blur", GREY), GREY)


def test_a_narrow_image_has_the_severity_of_its_shorter_side() -> None:
    assert severity(np.zeros((32, 400, 3), dtype=np.uint8), (0.7, 3.0)) == 0.7


@pytest.mark.parametrize("name", ["noise", "blur"])
@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB"), (3, "P")])
def test_an_image_is_changed_by_its_key_alone_at_the_size_that_the_model_sees(
    name: Any, channels: int, mode: str
) -> None:
    images = [png(number, mode, (40 + number, 30)) for number in range(6)]
    clean = encoder(channels)
    rows = Rows(images, None, "", [image_key(image) for image in images])
    inputs, noisy = perturbed(name, rows, clean)
    together = noisy.encode(inputs)
    assert [each.shape for each in together] == [(16, 20, channels)] * 6
    alone = [noisy.encode([each])[0] for each in inputs[::-1]]
    assert all(np.array_equal(one, other) for one, other in zip(together, alone[::-1], strict=True))
    for found, row in zip(together, images, strict=True):
        assert np.array_equal(found, changed(name, clean.pixels(row), image_key(row)))
        assert not np.array_equal(found, clean.pixels(row))
    batch: Any = noisy.collate(together)
    assert batch.pixel_values.shape == (6, channels, 16, 20)


def test_noise_is_the_same_in_every_version() -> None:
    assert changed("noise", GREY)[:3, 0, 0].tolist() == [137, 135, 117]
