"""The spec pages: examples parse, and every field has a heading, and every heading a field."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from distillery_api.crd import distillationjobs, distilledmodels
from distillery_api.distillationjob import DistillationJobSpec
from distillery_api.distilledmodel import DistilledModelSpec
from docs_markdown import DOCS, PAGES, blocks, first_column, headings, prose

SPECS = {"DistillationJob": DistillationJobSpec, "DistilledModel": DistilledModelSpec}
CRDS = {"distillationjob.md": distillationjobs(), "distilledmodel.md": distilledmodels()}
STAGE = re.compile(r"^stages\.\w+")
# Kubernetes' own shapes: one heading each.
KUBERNETES = {"tolerations", "resources", "nodeSelector"}


def examples() -> list[tuple[Path, dict[str, Any]]]:
    documents = [(page, doc) for page in PAGES for text in blocks(page, "yaml") for doc in yaml.safe_load_all(text)]
    return [(page, doc) for page, doc in documents if str(doc.get("apiVersion", "")).startswith("distillery.dev/")]


def paths(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, bool]]:
    """Path of each field, and whether it is a leaf; the five stages share `stages.<stage>`."""
    for name, sub in schema.get("properties", {}).items():
        inner = f"{path}.{name}" if path else name
        inner = STAGE.sub("stages.<stage>", inner)
        item = sub.get("items", {}) if name not in KUBERNETES else {}
        below = item if "properties" in item else sub
        leaf = name in KUBERNETES or "properties" not in below
        yield inner, leaf
        if not leaf:
            yield from paths(below, f"{inner}[]" if below is item else inner)


def spec_of(page: str) -> dict[str, Any]:
    schema: dict[str, Any] = CRDS[page]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    return schema


def field_headings(page: str) -> set[str]:
    return {name for heading in headings(DOCS / page) for name in re.findall(r"^`([^`]+)`$", heading)}


def test_there_are_examples_of_both_kinds():
    assert {doc["kind"] for _, doc in examples()} == set(SPECS)


@pytest.mark.parametrize(("page", "example"), examples(), ids=lambda value: getattr(value, "name", "example"))
def test_examples_parse(page, example):
    SPECS[example["kind"]].model_validate(example["spec"])


@pytest.mark.parametrize("page", CRDS)
def test_every_field_of_the_spec_has_a_heading(page):
    leaves = {path for path, leaf in paths(spec_of(page)["spec"]) if leaf}
    assert leaves - field_headings(page) == set()


@pytest.mark.parametrize("page", CRDS)
def test_every_heading_of_a_field_is_in_the_spec(page):
    assert field_headings(page) - {path for path, _ in paths(spec_of(page)["spec"])} == set()


@pytest.mark.parametrize("page", CRDS)
def test_every_field_of_the_status_is_listed(page):
    listed = {name.removesuffix("[]") for name in first_column(DOCS / page, "Field")}
    assert set(spec_of(page)["status"]["properties"]) == listed


@pytest.mark.parametrize("page", CRDS)
def test_defaults_on_the_page_are_those_of_the_api(page):
    """Where a field's text says `Default 3`, the API's default is 3."""
    schema = dict(defaults(spec_of(page)["spec"]))
    said = re.findall(r"^#+ `([^`]+)`\n+Default `?(\S+?)`?[,.](?:\s|$)", prose(DOCS / page), re.MULTILINE)
    assert said
    assert [(path, value) for path, value in said if str(schema[path]).removesuffix(".0") != value] == []


def defaults(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for name, sub in schema.get("properties", {}).items():
        inner = STAGE.sub("stages.<stage>", f"{path}.{name}" if path else name)
        item = sub.get("items", {})
        yield inner, sub.get("default")
        yield from defaults(item if "properties" in item else sub, f"{inner}[]" if "properties" in item else inner)
