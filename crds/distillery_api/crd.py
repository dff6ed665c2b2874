"""CustomResourceDefinitions generated from the pydantic models."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from . import GROUP, VERSION
from .distillationjob import MUTABLE, SPEC_RULES, DistillationJobSpec
from .distillationjob_status import DistillationJobStatus
from .distilledmodel import DistilledModelSpec, DistilledModelStatus
from .gate import gate_rules
from .schema import OBJECT_NAME, OBJECT_NAME_FIX, OBJECT_NAME_LIMIT, rules

KEPT = (
    "type", "description", "default", "enum", "pattern", "minimum", "maximum", "minLength", "maxLength",
    "minItems", "maxItems", "minProperties", "maxProperties", "required", "format",
)  # fmt: skip


def column(name: str, path: str, kind: str = "string", priority: int = 0) -> dict[str, Any]:
    """A printer column of `kubectl get`."""
    return {"name": name, "jsonPath": path, "type": kind, "priority": priority}


def condition(kind: str, field: str) -> str:
    """JSONPath of one field of one condition: filtered by type, never by position."""
    return f'.status.conditions[?(@.type=="{kind}")].{field}'


AGE = column("Age", ".metadata.creationTimestamp", "date")


def structural(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON schema in the structural form that Kubernetes asks for: no references, no null, no open ends."""
    if "$ref" in schema:
        target = definitions[schema["$ref"].rsplit("/", 1)[1]]
        return structural({**target, **{k: v for k, v in schema.items() if k != "$ref"}}, definitions)
    if schema.get("x-kubernetes-int-or-string"):
        return {k: v for k, v in schema.items() if k in ("anyOf", "maxLength") or k.startswith("x-kubernetes-")}
    options = [option for option in schema.get("anyOf", ()) if option.get("type") != "null"]
    if len(options) == 1:
        rest = {k: v for k, v in schema.items() if k != "anyOf" and not (k == "default" and v is None)}
        return structural({**options[0], **rest}, definitions)
    out = {k: v for k, v in schema.items() if k in KEPT or k.startswith("x-kubernetes-")}
    if "x-kubernetes-validations" in out:  # a rule says in a sentence what a pattern beside it checks
        out.pop("pattern", None)
    if "const" in schema:
        out |= {"type": "string", "enum": [schema["const"]]}
    for bound, inclusive in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if bound in schema:  # OpenAPI 3.0 says the bound apart from its exclusiveness
            out |= {inclusive: schema[bound], bound: True}
    if out.get("type") == "integer":
        out["format"] = "int64"
    if "default" in out:
        out["default"] = without_nulls(out["default"])
    if "description" in out:
        out["description"] = " ".join(out["description"].split())
    if "properties" in schema:
        out["properties"] = {name: structural(sub, definitions) for name, sub in schema["properties"].items()}
    if isinstance(schema.get("additionalProperties"), Mapping):
        out["additionalProperties"] = structural(schema["additionalProperties"], definitions)
    if "items" in schema:
        out["items"] = structural(schema["items"], definitions)
    return out


def without_nulls(value: Any) -> Any:
    """A default as Kubernetes stores it: what is absent is left out, at every depth."""
    if isinstance(value, Mapping):
        return {key: without_nulls(sub) for key, sub in value.items() if sub is not None}
    return value


def schema_of(model: type[BaseModel]) -> dict[str, Any]:
    """The structural schema of a model."""
    schema = model.model_json_schema(by_alias=True)
    return structural(schema, schema.get("$defs", {}))


def definition(
    kind: str, plural: str, short: str, spec: dict[str, Any], status: dict[str, Any],
    columns: list[dict[str, Any]], scale: dict[str, str] | None, description: str,
) -> dict[str, Any]:  # fmt: skip
    """One CustomResourceDefinition."""
    # An object that no operator has seen must not look finished: kstatus compares generations. The operator writes
    # all of a status at once: who owns each of its fields would be a quarter of the object, and a fifth of every write.
    status = {**status, "default": {"observedGeneration": -1}, "x-kubernetes-map-type": "atomic"}
    name_rule = rules(
        (
            f"self.metadata.name.size() <= {OBJECT_NAME_LIMIT} && self.metadata.name.matches('{OBJECT_NAME}')",
            f"metadata.name: {OBJECT_NAME_FIX}",
        )
    )
    schema = {
        "type": "object", "description": description, "required": ["spec"], **name_rule,
        "properties": {
            "apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"},
            "spec": spec, "status": status,
        },
    }  # fmt: skip
    subresources: dict[str, Any] = {"status": {}} | ({"scale": scale} if scale else {})
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": kind, "listKind": f"{kind}List", "plural": plural, "singular": kind.lower(),
                "shortNames": [short], "categories": ["distillery"],
            },
            "versions": [
                {
                    "name": VERSION, "served": True, "storage": True, "schema": {"openAPIV3Schema": schema},
                    "subresources": subresources, "additionalPrinterColumns": columns,
                }
            ],
        },
    }  # fmt: skip


def immutable(spec: dict[str, Any]) -> dict[str, Any]:
    """The schema of a spec whose fields, but for MUTABLE, stay as they were created."""
    optional, fields = [], dict[str, Any]()
    for name, schema in spec["properties"].items():
        fields[name] = schema
        message = f"{name} is immutable: apply another job under another name; it reuses the soft labels"
        if name in MUTABLE:
            continue
        if name in spec["required"] or "default" in schema:
            # On the field itself, since every write of a status pays for the rules: each `self.FIELD` is a search.
            fields[name] = with_rule(schema, ("self == oldSelf", message))
        else:  # a rule on the field would not see that it comes or goes
            same = f"!has(self.{name}) || self.{name} == oldSelf.{name}"
            optional.append((f"has(self.{name}) == has(oldSelf.{name}) && ({same})", message, f".{name}"))
    return {**spec, "properties": fields, **rules(*SPEC_RULES, *optional)}


def with_rule(schema: dict[str, Any], rule: tuple[str, str]) -> dict[str, Any]:
    """The schema with one more rule."""
    ((key, added),) = rules(rule).items()
    return {**schema, key: [*schema.get(key, ()), *added]}


def distillationjobs() -> dict[str, Any]:
    """The CRD of DistillationJob."""
    spec = immutable(schema_of(DistillationJobSpec))
    columns = [
        column("Stage", condition("Reconciling", "reason")),
        column("Ready", condition("Ready", "status")),
        column("Verdict", ".status.verdict.result"),
        column("Retention", '.status.verdict.criteria[?(@.name=="retention")].value', "number"),
        column("Reason", condition("Ready", "reason")),
        column("Model", ".spec.promoteTo.name", priority=1),
        AGE,
    ]
    status = schema_of(DistillationJobStatus)
    return definition("DistillationJob", "distillationjobs", "dj", spec, status, columns, None,
                      "DistillationJob trains a student from a teacher and decides whether it may serve.")  # fmt: skip


def distilledmodels() -> dict[str, Any]:
    """The CRD of DistilledModel."""
    spec = {**schema_of(DistilledModelSpec), **rules(*gate_rules(".promotion.gate"))}
    columns = [
        column("Ready", condition("Ready", "status")),
        column("Revision", ".status.active.revision"),
        column("Retention", ".status.active.retention", "number"),
        column("Replicas", ".status.replicas", "integer"),
        column("Reason", condition("Ready", "reason")),
        column("URL", ".status.url", priority=1),
        AGE,
    ]
    scale = {
        "specReplicasPath": ".spec.serving.replicas",
        "statusReplicasPath": ".status.replicas",
        "labelSelectorPath": ".status.selector",
    }
    status = schema_of(DistilledModelStatus)
    return definition("DistilledModel", "distilledmodels", "dm", spec, status, columns, scale,
                      "DistilledModel serves the last student that passed its gate at a stable address.")  # fmt: skip
