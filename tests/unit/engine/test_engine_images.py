"""The engine's image preprocessing: what it takes, and that it prepares an image as transformers does."""

import contextlib
import io
from typing import Any

import numpy as np
import pytest
from distillery_api.artifact import ImagePreprocessing
from distillery_engine import ImageEncoder, ImageUnreadable
from distillery_engine.images import MAX_PIXELS
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

GREY: dict[str, Any] = {
    "height": 8, "width": 8, "resample": "bilinear", "channels": 1, "scale": 1 / 255, "mean": [0.0], "std": [1.0]
}  # fmt: skip
COLOUR = GREY | {"channels": 3, "mean": [0.5, 0.25, 0.0], "std": [0.5, 1.0, 2.0]}


def encoder(**fields: Any) -> ImageEncoder:
    return ImageEncoder(ImagePreprocessing.model_validate(fields))


def png(pixels: np.ndarray[Any, Any], kind: str = "PNG", **options: Any) -> bytes:
    """An encoded image of uint8 [height, width] or [height, width, channels]."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


def noise(*shape: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def test_pixels_of_the_right_size_come_through_unchanged() -> None:
    pixels = noise(8, 8)
    np.testing.assert_array_equal(encoder(**GREY).pixels(png(pixels))[:, :, 0], pixels)


def test_a_batch_is_normalised_channel_by_channel() -> None:
    pixels = noise(8, 8, 3)
    batch = encoder(**COLOUR).batch([png(pixels)] * 2).pixel_values
    assert batch.shape == (2, 3, 8, 8)
    assert batch.dtype == np.float32
    expected = (pixels / 255 - [0.5, 0.25, 0.0]) / [0.5, 1.0, 2.0]
    np.testing.assert_allclose(batch[1].transpose(1, 2, 0), expected, atol=1e-6)


def test_a_grey_model_sees_colours_as_grey_and_a_colour_model_sees_grey_in_all_channels() -> None:
    assert encoder(**GREY).pixels(png(noise(8, 8, 3))).shape == (8, 8, 1)
    grey = encoder(**COLOUR).pixels(png(noise(8, 8)))
    np.testing.assert_array_equal(grey[:, :, 0], grey[:, :, 2])


def test_a_photo_is_turned_upright() -> None:
    pixels = np.zeros((8, 8, 3), dtype=np.uint8)
    pixels[:4] = 255
    orientation = Image.Exif()
    orientation[0x0112] = 3  # half a turn
    photo = png(pixels, "JPEG", exif=orientation)
    upright = encoder(**GREY).pixels(photo)[:, :, 0]
    assert upright[0, 0] < 50
    assert upright[7, 7] > 200


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        pytest.param(b"", "neither a PNG nor a JPEG", id="nothing"),
        pytest.param(b"GIF89a" + bytes(40), "neither a PNG nor a JPEG", id="another format"),
        pytest.param(png(noise(64, 64))[:900], "does not decode", id="cut off"),
        pytest.param(png(np.zeros((4097, 4096), np.uint8)), f"more than {MAX_PIXELS}", id="too many pixels"),
        pytest.param(png(np.zeros((8, 8), np.uint16)), "mode I;16", id="16 bits"),
    ],
)
def test_what_is_no_usable_image_is_refused(data: bytes, problem: str) -> None:
    with pytest.raises(ImageUnreadable, match=problem):
        encoder(**GREY).pixels(data)


@pytest.mark.filterwarnings("ignore")  # Pillow's, about what it finds in a header
@given(kind=st.sampled_from(["PNG", "JPEG"]), changes=st.dictionaries(st.integers(0, 10**6), st.integers(0, 255)))
def test_bytes_that_somebody_tampered_with_are_an_image_or_refused(kind: str, changes: dict[int, int]) -> None:
    data = bytearray(png(noise(9, 7, 3), kind))
    for place, value in changes.items():
        data[place % len(data)] = value
    with contextlib.suppress(ImageUnreadable):
        assert encoder(**COLOUR).pixels(bytes(data)).shape == (8, 8, 3)


def test_the_unreadable_image_of_several_is_told() -> None:
    with pytest.raises(ImageUnreadable) as caught:
        encoder(**GREY).encode([png(noise(8, 8)), b"?"])
    assert caught.value.index == 1
