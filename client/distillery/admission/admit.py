"""One object through what the API server does at `kubectl apply`: strict decoding, defaults, schema, CEL rules."""

from functools import cache
from typing import Any

from distillery_api import GROUP, VERSION
from distillery_api.crd import distillationjobs, distilledmodels

from ..errors import Refused
from .findings import Finding
from .manifests import Manifest
from .rules import broken_rules
from .structural import defaulted, misfits, unknown_fields

API_VERSION = f"{GROUP}/{VERSION}"
LOCAL = "file:///"
AS_CLAIM = "pvc://file/"  # a local address keeps the rules of a claim's: no '..', and the suffix of a data file
NOT_CHECKED = (
    "some validation rules were not checked because the object was invalid;"
    " correct the existing errors to complete validation"
)


def admitted(manifest: Manifest) -> dict[str, Any]:
    """The object as the API server would store it, less its status. Raises Refused in the API server's words.

    Beyond what the API server takes, addresses may be file:///path.
    """
    body, kind = manifest.body, manifest.kind
    if body.get("apiVersion") != API_VERSION:
        raise Refused(f'{manifest.source}: no matches for kind "{kind}" in version "{body.get("apiVersion")}"')
    schema = schema_of(kind)
    if unknown := list(unknown_fields(schema, body)):
        fields = ", ".join(f'unknown field "{path}"' for path in unknown)
        raise Refused(f'{manifest.source}: {kind} in version "{VERSION}": strict decoding error: {fields}')
    named = named_object({name: value for name, value in body.items() if name != "status"}, manifest)
    complete: dict[str, Any] = defaulted(schema, named)
    if findings := wrongs(schema, with_claims(complete)):
        raise Refused(invalid(kind, complete["metadata"]["name"], findings))
    return {name: value for name, value in complete.items() if name != "status"}


@cache
def schema_of(kind: str) -> dict[str, Any]:
    """The CRD's schema. What a status holds is its writer's, not the manifest's."""
    crd = {"DistillationJob": distillationjobs, "DistilledModel": distilledmodels}[kind]()
    schema: dict[str, Any] = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return {**schema, "properties": {**schema["properties"], "metadata": {"type": "object"}, "status": {}}}


def named_object(body: dict[str, Any], manifest: Manifest) -> dict[str, Any]:
    """The object with a namespace. Raises Refused where it has no name."""
    metadata = body.get("metadata")
    if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str) or not metadata["name"]:
        raise Refused(f"{manifest.source}: resource name may not be empty; write metadata.name")
    return {**body, "metadata": {**metadata, "namespace": metadata.get("namespace") or "default"}}


def wrongs(schema: dict[str, Any], body: dict[str, Any]) -> list[Finding]:
    """What the schema finds, and what its rules find where they can be asked."""
    found = list(misfits(schema, body, ""))
    if any(finding.blocking for finding in found):
        return [*found, Finding("", NOT_CHECKED)]
    return [*found, *broken_rules(schema, body, "")]


def with_claims(value: Any) -> Any:
    """The object with each file:/// address as one on a claim."""
    if isinstance(value, dict):
        return {name: with_claims(item) for name, item in value.items()}
    if isinstance(value, list):
        return [with_claims(item) for item in value]
    if isinstance(value, str) and value.startswith(LOCAL):
        return AS_CLAIM + value.removeprefix(LOCAL)
    return value


def invalid(kind: str, name: str, findings: list[Finding]) -> str:
    """As kubectl prints it: one finding on the same line, several as a list."""
    head = f'The {kind} "{name}" is invalid:'
    if len(findings) == 1:
        return f"{head} {findings[0]}"
    return "\n* ".join([f"{head} ", *map(str, findings)])
