"""preprocessor_config.json: images come out as transformers makes them, and unknown settings are refused."""

import io
from typing import Any

import numpy as np
import pytest
from distillery_engine import ImageEncoder
from distillery_worker.errors import InputRefused
from distillery_worker.teachers.preprocessor import read_preprocessor
from PIL import Image
from transformers.models.bit.image_processing_pil_bit import BitImageProcessorPil
from transformers.models.convnext.image_processing_pil_convnext import ConvNextImageProcessorPil
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

VIT = {
    "image_processor_type": "ViTImageProcessor", "do_resize": True, "size": {"height": 24, "width": 24}, "resample": 2,
    "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True,
    "image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.3, 0.4],
}  # fmt: skip


def photo(height: int, width: int) -> tuple[bytes, Image.Image]:
    smooth = np.random.default_rng(1).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    image = Image.fromarray(smooth).resize((width, height), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue(), image


@pytest.mark.parametrize("shape", [(40, 60), (61, 33), (24, 24), (10, 13)])
@pytest.mark.parametrize(
    "processor",
    [
        pytest.param(ViTImageProcessorPil(size={"height": 24, "width": 20}), id="ViT"),
        pytest.param(
            ViTImageProcessorPil(size={"height": 24, "width": 24}, resample=3, do_normalize=False), id="bicubic"
        ),
        pytest.param(ConvNextImageProcessorPil(size={"shortest_edge": 28}), id="ConvNext cuts"),
        pytest.param(ConvNextImageProcessorPil(size={"shortest_edge": 384}), id="ConvNext resizes"),
        pytest.param(BitImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 24, "width": 28}), id="Bit"),
        pytest.param(ViTImageProcessorPil(size={"height": 24, "width": 24}, do_rescale=False), id="bytes"),
    ],
)
def test_an_image_comes_out_as_transformers_makes_it(processor: Any, shape: tuple[int, int]) -> None:
    data, image = photo(*shape)
    encoder = ImageEncoder(read_preprocessor(processor.to_dict(), 3, "uri"))
    expected = processor(image, return_tensors="np")["pixel_values"]
    np.testing.assert_allclose(encoder.batch([data]).pixel_values, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        pytest.param({"image_processor_type": "SamImageProcessor"}, "type is 'SamImageProcessor'", id="processor"),
        pytest.param({"do_resize": False}, "do_resize is false", id="no size"),
        pytest.param({"size": {"longest_edge": 24}}, "lacks 'height'", id="another kind of size"),
        pytest.param({"size": {"height": 24, "width": 0}}, "gives width that does not do", id="size of nothing"),
        pytest.param({"resample": 9}, "cannot be read", id="unknown resampling"),
        pytest.param({"image_mean": [0.5]}, "image_mean has 1 numbers, and the model 3", id="mean of one channel"),
        pytest.param({"image_std": [0.5, 0.5, 0.0]}, "gives std.2 that does not do", id="division by nothing"),
        pytest.param(
            {"image_processor_type": "BitImageProcessor", "size": {"shortest_edge": 9}, "crop_size": 24},
            "cut from images of 9", id="a cut larger than the image",
        ),
    ],
)  # fmt: skip
def test_settings_that_are_not_known_are_refused(change: dict[str, Any], problem: str) -> None:
    with pytest.raises(InputRefused, match=problem) as caught:
        read_preprocessor(VIT | change, 3, "s3://bucket/teacher")
    assert caught.value.reason == "ModelUnsupported"
    assert caught.value.message.startswith("teachers[0].model: s3://bucket/teacher/preprocessor_config.json")


def test_a_processor_that_another_library_computes_is_the_same() -> None:
    plain = read_preprocessor(VIT, 3, "uri")
    for name in ("ViTImageProcessorFast", "ViTImageProcessorPil", "ViTFeatureExtractor"):
        assert read_preprocessor(VIT | {"image_processor_type": name}, 3, "uri") == plain
