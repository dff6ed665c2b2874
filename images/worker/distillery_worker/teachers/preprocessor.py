"""preprocessor_config.json of Hugging Face image processors, as the engine's preprocessing."""

import math
from typing import Any

from distillery_api.artifact import ImagePreprocessing
from pydantic import ValidationError

from ..errors import InputRefused

PROCESSORS = ("ViTImageProcessor", "ConvNextImageProcessor", "BitImageProcessor")
# Pillow's numbers, which transformers stores.
RESAMPLE = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")
# Below this many pixels ConvNext cuts the middle out; from it on it resizes to the square (ConvNextImageProcessor).
CONVNEXT_WARP = 384


def read_preprocessor(config: dict[str, Any], channels: int, uri: str) -> ImagePreprocessing:
    """The preprocessing of a model with so many channels. Raises InputRefused (ModelUnsupported)."""
    try:
        return ImagePreprocessing.model_validate(
            {
                **sizes(config),
                "resample": RESAMPLE[int(config["resample"])],
                "channels": channels,
                "scale": float(config["rescale_factor"]) if config.get("do_rescale", True) else 1.0,
                **normalisation(config, channels),
            }
        )
    except (KeyError, TypeError, ValueError, IndexError, ValidationError) as error:
        raise InputRefused(
            "ModelUnsupported",
            f"teachers[0].model: {uri}/preprocessor_config.json {problem(error)};"
            f" use the settings of one of {', '.join(PROCESSORS)}",
        ) from error


def problem(error: Exception) -> str:
    """What is wrong with a configuration, as the end of a sentence."""
    if isinstance(error, KeyError):
        return f"lacks {error.args[0]!r}"
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"gives {'.'.join(map(str, first['loc']))} that does not do: {first['msg']}"
    return f"cannot be read: {error}"


def sizes(config: dict[str, Any]) -> dict[str, int]:
    """height, width and shortestEdge of ImagePreprocessing."""
    if not config.get("do_resize", True):
        raise ValueError("do_resize is false, so images keep sizes of their own")
    kind = processor(config)
    if kind == "ViTImageProcessor":
        return square(config["size"])
    edge = int(config["size"]["shortest_edge"])
    if kind == "BitImageProcessor":
        if not config.get("do_center_crop", True):
            raise ValueError("do_center_crop is false, so images keep shapes of their own")
        return cut(square(config["crop_size"]), edge)
    if edge >= CONVNEXT_WARP:
        return {"height": edge, "width": edge}
    return {"height": edge, "width": edge, "shortestEdge": math.floor(edge / float(config["crop_pct"]))}


def cut(size: dict[str, int], edge: int) -> dict[str, int]:
    """The middle of an image whose shorter side is `edge`."""
    if max(size.values()) > edge:
        raise ValueError(f"crop_size {size['height']} x {size['width']} is cut from images of {edge} pixels")
    return {**size, "shortestEdge": edge}


def processor(config: dict[str, Any]) -> str:
    """Name of the processor, without the part that says who computes it. Raises ValueError for one not known."""
    name = str(config.get("image_processor_type") or config.get("feature_extractor_type") or "")
    plain = name.removesuffix("Fast").removesuffix("Pil").replace("FeatureExtractor", "ImageProcessor")
    if plain not in PROCESSORS:
        raise ValueError(f"image_processor_type is {name!r}")
    return plain


def square(size: Any) -> dict[str, int]:
    """height and width; one number means both."""
    if isinstance(size, int):
        return {"height": size, "width": size}
    return {"height": int(size["height"]), "width": int(size["width"])}


def normalisation(config: dict[str, Any], channels: int) -> dict[str, list[float]]:
    """mean and std, one a channel."""
    if not config.get("do_normalize", True):
        return {"mean": [0.0] * channels, "std": [1.0] * channels}
    values = {"mean": list(config["image_mean"]), "std": list(config["image_std"])}
    for name, numbers in values.items():
        if len(numbers) != channels:
            raise ValueError(f"image_{name} has {len(numbers)} numbers, and the model {channels} channels")
    return values
