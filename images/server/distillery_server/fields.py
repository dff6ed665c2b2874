"""Reading JSON bodies field by field, with errors that name the field."""

import json
from typing import Any

from .errors import Refused
from .limits import Limits


def parse_object(body: bytes) -> dict[str, Any]:
    """The JSON object of a body. Raises Refused (400)."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refused(400, f"the body is not JSON: {error}; send one JSON object in UTF-8") from error
    if not isinstance(value, dict):
        raise Refused(400, f"the body is a JSON {kind(value)}; send one JSON object")
    return value


def check_texts(values: Any, field: str, limits: Limits) -> list[str]:
    """A list of texts within the limits. Raises Refused (400 for a wrong type, 413 beyond a bound)."""
    if not isinstance(values, list) or not values:
        raise Refused(400, f"{field}: must be a list of at least one string")
    if len(values) > limits.max_texts:
        raise Refused(413, f"{field}: {len(values)} texts; send at most {limits.max_texts} in one request")
    for index, value in enumerate(values):
        _check_text(value, f"{field}[{index}]", limits)
    return values


def _check_text(value: Any, field: str, limits: Limits) -> None:
    if not isinstance(value, str):
        raise Refused(400, f"{field}: is a {kind(value)}; send a string")
    if len(value) > limits.max_characters:
        raise Refused(413, f"{field}: {len(value)} characters; send at most {limits.max_characters}")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise Refused(400, f"{field}: has half a surrogate pair; send valid Unicode") from error


def kind(value: Any) -> str:
    """The JSON name of a value's type."""
    names = {dict: "object", list: "array", str: "string", bool: "boolean", type(None): "null"}
    return names.get(type(value), "number")
