"""A gate on the command line: an option for each field of the model, or a file with the keys of `spec.gate`."""

import argparse
import json
from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo

from .costs import Costs, costs_of
from .errors import GateInputError
from .looks import Look
from .policy import Gate
from .tables import read_text

Path = tuple[str, ...]  # names of a field and the parts around it


def add_gate(command: argparse.ArgumentParser) -> None:
    """`--gate FILE`, an option for each field, which verdict this is, and what the student costs."""
    command.add_argument(
        "--look", metavar="N", default="1",
        help="which verdict on these items this is, of any student; a later one needs more evidence. 1 by default.",
    )  # fmt: skip
    command.add_argument("--costs", metavar="FILE", help="JSON with the keys of costs in a report, for the gate's cost")
    group = command.add_argument_group("gate", "what is asked of the student; lists are JSON")
    group.add_argument("--gate", metavar="FILE", help="JSON with the keys of spec.gate, in place of the options below")
    for path, field in asked_for():
        words = field.description or ""
        if not field.is_required() and field.default is not None:
            words += f" {field.default} by default."
        group.add_argument(option(path), dest=".".join(path), metavar="VALUE", help=words.strip().replace("%", "%%"))


def asked_for() -> Iterator[tuple[Path, FieldInfo]]:
    """The fields that are options: all but the metric, which the items have anyway."""
    return ((path, field) for path, field in fields_of(Gate) if path != ("metric",))


def fields_of(model: type[BaseModel], around: Path = ()) -> Iterator[tuple[Path, FieldInfo]]:
    """Each field with its path, those of parts included."""
    for name, field in model.model_fields.items():
        if part := part_of(field.annotation):
            yield from fields_of(part, (*around, name))
        else:
            yield (*around, name), field


def part_of(annotation: Any) -> type[BaseModel] | None:
    """The model that a field holds, if it holds one."""
    kinds = (annotation, *get_args(annotation))
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)


def option(path: Path) -> str:
    """`--slices-min-items`."""
    return "--" + "-".join(path).replace("_", "-")


def gate_asked(options: argparse.Namespace) -> Gate:
    """The gate of the command line. Raises GateInputError, naming the field and the fix."""
    given = {path: text for path, _ in asked_for() if (text := getattr(options, ".".join(path))) is not None}
    if options.gate is None:
        return checked_gate(nested(given))
    if given:
        raise GateInputError(f"--gate: given beside {option(next(iter(given)))}; write all of the gate into the file")
    return checked_gate(read_json("--gate", options.gate))


def read_json(name: str, path: str) -> Any:
    """What the file of an option holds. Raises GateInputError."""
    try:
        return json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise GateInputError(f"{name}: {path} is no JSON: {error}; write an object with the keys it has") from error


def costs_measured(options: argparse.Namespace) -> Costs | None:
    """Raises GateInputError, naming the field."""
    return None if options.costs is None else costs_of(read_json("--costs", options.costs))


def look_taken(options: argparse.Namespace) -> Look:
    """Raises GateInputError where its number is none."""
    try:
        return Look.model_validate({"number": value_of(options.look)})
    except ValidationError as error:
        raise GateInputError(
            f"--look: {options.look} counts no verdict; give 1 for the first on these items"
        ) from error


def nested(given: dict[Path, str]) -> dict[str, Any]:
    """The keys of spec.gate, those of parts in an object of their own."""
    gate: dict[str, Any] = {}
    for path, text in given.items():
        part = gate
        for name in path[:-1]:
            part = part.setdefault(to_camel(name), {})
        part[to_camel(path[-1])] = value_of(text)
    return gate


def value_of(text: str) -> Any:
    """A number, true, false or other JSON; text as it is."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def checked_gate(given: Any) -> Gate:
    """Raises GateInputError at the first field that is wrong."""
    try:
        return Gate.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(("gate", *map(str, first["loc"])))
        raise GateInputError(
            f"{place}: {first['msg']}; `distillery-gate decide --help` lists what is allowed"
        ) from error
