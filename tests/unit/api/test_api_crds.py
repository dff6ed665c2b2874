"""The CRDs that the models generate: structural, bounded, small, and the same as the committed files."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from distillery_api.crd import distillationjobs, distilledmodels
from distillery_api.distillationjob import DistillationJobSpec
from distillery_api.distilledmodel import DistilledModelSpec
from pydantic import BaseModel

ROOT = Path(__file__).parents[3]
CRDS = {crd["spec"]["names"]["kind"]: crd for crd in (distillationjobs(), distilledmodels())}
SERVERS_OWN = ("", ".apiVersion", ".kind", ".metadata")


def nodes(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema inside a schema, with its path."""
    yield path, schema
    for name, sub in schema.get("properties", {}).items():
        yield from nodes(sub, f"{path}.{name}")
    for key, mark in (("items", "[]"), ("additionalProperties", "{}")):
        if key in schema:
            yield from nodes(schema[key], path + mark)


def holds_none(value: Any) -> bool:
    if isinstance(value, dict | list):
        return any(holds_none(sub) for sub in (value.values() if isinstance(value, dict) else value))
    return value is None


def fields(kind: str) -> list[tuple[str, dict[str, Any]]]:
    """Path and schema of every field that is ours."""
    whole = CRDS[kind]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return [(path, node) for path, node in nodes(whole) if path not in SERVERS_OWN]


def is_structural(node: dict[str, Any]) -> bool:
    if {"$ref", "$defs", "allOf", "oneOf", "not", "nullable", "const", "title"} & set(node):
        return False
    if node.get("x-kubernetes-int-or-string"):
        return bool(node["anyOf"] == [{"type": "integer"}, {"type": "string"}])
    return "anyOf" not in node and node["type"] in {"object", "array", "string", "integer", "number", "boolean"}


def is_bounded(node: dict[str, Any]) -> bool:
    kind = node.get("type", "string")
    if kind == "string":
        return "maxLength" in node or "enum" in node
    if kind == "array":
        return "maxItems" in node
    if kind == "object":  # a map, or the fields of a model
        return ("additionalProperties" in node and "maxProperties" in node) != ("properties" in node)
    return True


@pytest.mark.parametrize("kind", CRDS)
def test_every_field_is_structural(kind: str):
    assert [path for path, node in fields(kind) if not is_structural(node)] == []


@pytest.mark.parametrize("kind", CRDS)
def test_every_string_list_and_map_is_bounded(kind: str):
    assert [path for path, node in fields(kind) if not is_bounded(node)] == []


@pytest.mark.parametrize("kind", CRDS)
def test_no_default_holds_null(kind: str):
    assert [path for path, node in fields(kind) if holds_none(node.get("default", ""))] == []


@pytest.mark.parametrize("kind", CRDS)
def test_every_rule_says_what_is_wrong_in_one_short_line(kind: str):
    rules = [rule for _, node in fields(kind) for rule in node.get("x-kubernetes-validations", [])]
    assert rules
    assert [r for r in rules if len(r["message"]) > 120 or "\n" in r["message"] or r["message"].endswith(".")] == []


@pytest.mark.parametrize("kind", CRDS)
def test_a_field_with_a_rule_has_no_pattern_beside_it(kind: str):
    """The sentence of the rule would stand beside a regular expression that says the same."""
    assert [p for p, node in fields(kind) if "x-kubernetes-validations" in node and "pattern" in node] == []


@pytest.mark.parametrize("field", ["train", "unlabelled", "test"])
def test_a_data_file_keeps_the_rules_of_a_uri_beside_its_own(field: str):
    messages = [
        r["message"] for r in dict(fields("DistillationJob"))[f".spec.dataset.{field}"]["x-kubernetes-validations"]
    ]
    assert len(messages) == 3
    assert any("s3://" in message for message in messages)


@pytest.mark.parametrize("kind", CRDS)
def test_conditions_and_stages_merge_by_key(kind: str):
    lists = [node for path, node in fields(kind) if path in (".status.conditions", ".status.stages")]
    assert lists
    assert all(node["x-kubernetes-list-type"] == "map" for node in lists)


@pytest.mark.parametrize("path", sorted((ROOT / "crds").glob("*.yaml")), ids=lambda path: path.name)
def test_a_crd_file_stays_small_and_is_the_one_in_the_chart(path: Path):
    assert len(path.read_bytes()) < 200_000  # `kubectl apply` keeps a copy in an annotation of at most 256 KiB
    assert (ROOT / "helm/distillery/files/crds" / path.name).read_bytes() == path.read_bytes()
    assert yaml.safe_load(path.read_text()) in CRDS.values()


def test_the_committed_crds_are_the_generated_ones():
    check = subprocess.run(
        [sys.executable, ROOT / "hack/crds.py", "--check"],
        env={"PYTHONPATH": str(ROOT / "crds")}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert check.returncode == 0, check.stderr


@pytest.mark.parametrize("kind", CRDS)
def test_every_default_of_the_schema_is_the_default_of_the_model(kind: str):
    models: dict[str, type[BaseModel]] = {"DistillationJob": DistillationJobSpec, "DistilledModel": DistilledModelSpec}
    model = models[kind]
    spec = CRDS[kind]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    written = {name: sub["default"] for name, sub in spec["properties"].items() if "default" in sub}
    minimal: dict[str, dict[str, Any]] = {
        "DistillationJob": {
            "task": "text-classification", "teachers": [{"model": {"uri": "s3://b/t"}}],
            "dataset": {"train": "s3://b/a.csv", "test": "s3://b/b.csv"}, "storage": {"uri": "s3://b"},
        },
        "DistilledModel": {"task": "text-classification"},
    }  # fmt: skip
    required = minimal[kind]
    assert model.model_validate(required | written) == model.model_validate(required)
