"""No setting without a reader: every field of a spec is read somewhere outside the models."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, get_args, get_origin

import pytest
from distillery_api.distillationjob import DistillationJobSpec
from distillery_api.distilledmodel import DistilledModelSpec
from distillery_api.pods import Resources, Toleration
from pydantic import BaseModel
from pydantic.alias_generators import to_camel

ROOT = Path(__file__).parents[3]
SOURCES = "\n".join(
    path.read_text()
    for folder in ("operator", "images/worker", "images/server", "gate")
    for path in sorted((ROOT / folder).rglob("*.py"))
)
WHOLE = (Resources, Toleration)  # handed to Kubernetes as they are


def models(annotation: object) -> Iterator[type[BaseModel]]:
    """Every model inside a type."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        for field in annotation.model_fields.values():
            yield from models(field.annotation)
    for argument in get_args(annotation):
        yield from models(argument)


def has_one_value(annotation: object) -> bool:
    """Whether there is nothing to choose, as in `Literal["a"]` or a list of it: the schema alone decides."""
    arguments = get_args(annotation)
    if get_origin(annotation) is Literal:
        return len(arguments) == 1
    return get_origin(annotation) is list and has_one_value(arguments[0])


FIELDS = sorted(
    {
        (model.__name__, name)
        for spec in (DistillationJobSpec, DistilledModelSpec)
        for model in models(spec)
        if model not in WHOLE
        for name, field in model.model_fields.items()
        if not has_one_value(field.annotation)
    }
)


@pytest.mark.parametrize(("model", "field"), FIELDS, ids=lambda value: value)
def test_a_field_of_a_spec_has_a_reader(model: str, field: str):
    read = rf'\.{field}\b|"{to_camel(field)}"'  # of the model, or of the object as Kubernetes holds it
    assert re.search(read, SOURCES), f"nothing reads {model}.{field}"
