"""Manifests as kubectl reads them: YAML with several documents, Lists taken apart, every value as in JSON."""

import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ..errors import Refused
from .scalars import plain_scalar

PLAIN = "tag:distillery.dev,2026:plain"
LARGEST_PLAIN = 1e21  # from here on Go writes a whole float with an exponent


@dataclass(frozen=True)
class Manifest:
    """One object and the file that it stands in."""

    source: str
    body: dict[str, Any]

    @property
    def kind(self) -> str:
        """The object's kind, or an empty text."""
        return str(self.body.get("kind") or "")


class Loader(yaml.SafeLoader):
    """SafeLoader with kubectl's reading of plain scalars."""

    def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
        """The tag of a node; merge keys stay what they are."""
        if kind is yaml.ScalarNode and implicit[0] and value != "<<":
            return PLAIN
        return super().resolve(kind, value, implicit)  # type: ignore[no-untyped-call]


Loader.add_constructor(PLAIN, lambda _, node: plain_scalar(node.value))


def read_manifests(files: Sequence[str]) -> list[Manifest]:
    """Every object in the files, in order; `-` is standard input. Raises Refused."""
    return [manifest for file in files for manifest in read_file(file)]


def read_file(file: str) -> Iterator[Manifest]:
    """The objects of one file."""
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
        documents = [as_json(document) for document in yaml.load_all(text, Loader) if document is not None]
    except (OSError, yaml.YAMLError, ValueError) as error:
        raise Refused(f"{file}: {error}") from error
    for document in documents:
        yield from objects_in(document, file)


def objects_in(document: Any, file: str) -> Iterator[Manifest]:
    """The object itself, or the items of a List."""
    if not isinstance(document, dict) or not document.get("kind"):
        raise Refused(f"{file}: Object 'Kind' is missing; write a Kubernetes object in each document")
    if document["kind"] == "List":
        for item in document.get("items") or ():
            yield from objects_in(item, file)
    else:
        yield Manifest(file, document)


def as_json(value: Any) -> Any:
    """The value as JSON carries it. Raises ValueError for what JSON has no words for."""
    if isinstance(value, dict):
        return {key_text(key): as_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_json(item) for item in value]
    if isinstance(value, float):
        return number(value)
    if value is None or isinstance(value, bool | int | str):
        return value
    raise ValueError(f"{value!r} has no form in JSON; quote it, or leave its tag out")


def number(value: float) -> int | float:
    """A float as Go writes it: 3.0 is 3."""
    if not math.isfinite(value):
        raise ValueError(f"json: unsupported value: {value}")
    return int(value) if value.is_integer() and abs(value) < LARGEST_PLAIN else value


def key_text(key: Any) -> str:
    """A mapping's key: JSON has text alone."""
    if isinstance(key, bool):
        return "true" if key else "false"
    if isinstance(key, int | float):
        return str(number(key) if isinstance(key, float) else key)
    if isinstance(key, str):
        return key
    raise ValueError(f"unsupported map key {key!r}; write text")
