"""Structural schemas of CRDs: static defaults, fields that nobody knows, and values that do not fit."""

import copy
import re
from collections.abc import Iterator, Mapping
from typing import Any

from .findings import Finding, inside, item

Schema = Mapping[str, Any]


def defaulted(schema: Schema, value: Any) -> Any:
    """The value with the schema's defaults where a field is absent, or null and has one."""
    if isinstance(value, list):
        return [defaulted(schema.get("items", {}), element) for element in value]
    if not isinstance(value, Mapping):
        return value
    fields, others = schema.get("properties", {}), schema.get("additionalProperties", {})
    filled = {
        name: copy.deepcopy(field["default"])
        for name, field in fields.items()
        if "default" in field and value.get(name) is None
    }
    return {name: defaulted(fields.get(name, others), element) for name, element in ({**value, **filled}).items()}


def unknown_fields(schema: Schema, value: Any, path: str = "") -> Iterator[str]:
    """Paths of fields that the schema has no place for."""
    if isinstance(value, list):
        for index, element in enumerate(value):
            yield from unknown_fields(schema.get("items", {}), element, item(path, index))
    elif isinstance(value, Mapping) and "properties" in schema:
        for name, element in value.items():
            place = inside(path, name)
            if name not in schema["properties"]:
                yield place
            else:
                yield from unknown_fields(schema["properties"][name], element, place)


def misfits(schema: Schema, value: Any, path: str) -> Iterator[Finding]:
    """What of the value does not fit the schema."""
    if (wrong := wrong_type(schema, value, path)) is not None:
        yield wrong
        return
    if isinstance(value, Mapping):
        yield from misfits_of_object(schema, value, path)
    elif isinstance(value, list):
        yield from sizes(schema, len(value), path, "Items", "items")
        for index, element in enumerate(value):
            yield from misfits(schema.get("items", {}), element, item(path, index))
    elif isinstance(value, str):
        yield from misfits_of_text(schema, value, path)
    elif not isinstance(value, bool):
        yield from misfits_of_number(schema, value, path)


def wrong_type(schema: Schema, value: Any, path: str) -> Finding | None:
    """A finding where the value is of another JSON type."""
    found = type_name(value)
    if schema.get("x-kubernetes-int-or-string"):
        fits, wanted = found in ("integer", "string"), "integer,string"
    else:
        wanted = schema.get("type", found)
        fits = wanted == found or (wanted == "number" and found == "integer")
    words = f'Invalid value: "{found}": {path} in body must be of type {wanted}: "{found}"'
    return None if fits else Finding(path, words, blocking=True)


def type_name(value: Any) -> str:
    """JSON's name for the type."""
    names = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", type(None): "null"}
    return names.get(type(value), "object")


def misfits_of_object(schema: Schema, value: Mapping[str, Any], path: str) -> Iterator[Finding]:
    """Missing fields, too many entries, and what is wrong in the fields."""
    for name in schema.get("required", ()):
        if name not in value:
            yield Finding(inside(path, name), "Required value", blocking=True)
    yield from sizes(schema, len(value), path, "Properties", "properties")
    fields, others = schema.get("properties", {}), schema.get("additionalProperties", {})
    for name, element in value.items():
        yield from misfits(fields.get(name, others), element, inside(path, name))


def sizes(schema: Schema, count: int, path: str, suffix: str, noun: str) -> Iterator[Finding]:
    """Bounds of a list or a map."""
    least, most = schema.get(f"min{suffix}", 0), schema.get(f"max{suffix}", count)
    if count < least:
        yield Finding(path, f"Invalid value: {count}: {path} in body should have at least {least} {noun}")
    if count > most:
        plural = "" if most == 1 else "s"
        yield Finding(path, f"Too many: {count}: must have at most {most} item{plural}", blocking=True)


def misfits_of_text(schema: Schema, value: str, path: str) -> Iterator[Finding]:
    """Allowed values, length and pattern. Lengths are in characters, as OpenAPI counts."""
    if "enum" in schema and value not in schema["enum"]:
        allowed = ", ".join(f'"{each}"' for each in schema["enum"])
        yield Finding(path, f'Unsupported value: "{value}": supported values: {allowed}')
    if len(value) < schema.get("minLength", 0):
        words = f"{path} in body should be at least {schema['minLength']} chars long"
        yield Finding(path, f'Invalid value: "{value}": {words}')
    if len(value) > schema.get("maxLength", len(value)):
        yield Finding(path, f"Too long: may not be more than {schema['maxLength']} bytes", blocking=True)
    if "pattern" in schema and not re.search(schema["pattern"], value):
        yield Finding(path, f"Invalid value: \"{value}\": {path} in body should match '{schema['pattern']}'")


def misfits_of_number(schema: Schema, value: float, path: str) -> Iterator[Finding]:
    """Bounds, each open or closed."""
    least, most = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum", False), schema.get("exclusiveMaximum", False)
    if least is not None and (value <= least if above else value < least):
        bound = "greater than" if above else "greater than or equal to"
        yield Finding(path, f"Invalid value: {value}: {path} in body should be {bound} {least:g}")
    if most is not None and (value >= most if below else value > most):
        bound = "less than" if below else "less than or equal to"
        yield Finding(path, f"Invalid value: {value}: {path} in body should be {bound} {most:g}")
