"""What the callers of a model send: texts, or images."""

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .errors import Refused
from .fields import check_texts, kind
from .limits import Limits


@dataclass(frozen=True)
class Inputs:
    """Names of the fields, and how a JSON array becomes what the model takes. `read` raises Refused."""

    one: str  # also the name of the Open Inference Protocol's tensor
    many: str
    read: Callable[[Any, str, Limits], list[Any]]


def read_images(values: Any, field: str, limits: Limits) -> list[bytes]:
    """Encoded images from base64. Raises Refused (400 for a wrong type or encoding, 413 beyond a bound)."""
    if not isinstance(values, list) or not values:
        raise Refused(400, f"{field}: must be a list of at least one image as a base64 string")
    if len(values) > limits.max_images:
        raise Refused(413, f"{field}: {len(values)} images; send at most {limits.max_images} in one request")
    return [_image(value, f"{field}[{index}]") for index, value in enumerate(values)]


def _image(value: Any, field: str) -> bytes:
    if not isinstance(value, str):
        raise Refused(400, f"{field}: is a {kind(value)}; send a PNG or JPEG file as a base64 string")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Refused(400, f"{field}: is not base64: {error}; send a PNG or JPEG file as a base64 string") from error


TEXTS = Inputs("text", "texts", check_texts)
IMAGES = Inputs("image", "images", read_images)
INPUTS = {"text": TEXTS, "image": IMAGES}  # by the kind of the artifact's preprocessing
