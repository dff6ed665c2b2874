"""Base model and bounded field types of the Kubernetes-facing models."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


class Model(BaseModel):
    """Camel-case outside, snake-case inside, immutable, and no unknown fields: a typo is an error."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True, protected_namespaces=()
    )

    def dump(self) -> dict[str, Any]:
        """The object as Kubernetes stores it: camel-case keys, absent instead of null."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class Failure(Model):
    """Why something stopped: a CamelCase reason and a sentence that says what to do."""

    reason: Annotated[str, Field(max_length=64, pattern="^[A-Z][A-Za-z0-9]{2,63}$")]
    message: Annotated[str, Field(max_length=1024)]


def rules(*checks: tuple[str, ...]) -> dict[str, Any]:
    """CEL rules for `json_schema_extra`: (expression, message) or (expression, message, path of the field it names).

    Of two `json_schema_extra` on one field the later alone counts: give all rules of a field together.
    """
    names = ("rule", "message", "fieldPath")
    return {"x-kubernetes-validations": [dict(zip(names, check, strict=False)) for check in checks]}


DNS_LABEL = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
DIGEST = r"^sha256:[0-9a-f]{64}$"

Name = Annotated[
    str,
    Field(
        min_length=1,
        max_length=63,
        pattern=DNS_LABEL,
        json_schema_extra=rules(
            (
                f"self.matches('{DNS_LABEL}')",
                "use lower-case letters, digits and dashes, starting and ending with a letter or digit",
            )
        ),
    ),
]
# Child names are `<name>-<8 hex>-<stage>-<attempt>`: 63 characters less the longest tail.
OBJECT_NAME_LIMIT = 40
OBJECT_NAME = "^[a-z]([-a-z0-9]*[a-z0-9])?$"
OBJECT_NAME_FIX = f"use at most {OBJECT_NAME_LIMIT} lower-case letters, digits and dashes, starting with a letter"
ObjectName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=253,  # the rule says the length; a lower limit here would hide the sentence
        json_schema_extra=rules(
            (f"self.size() <= {OBJECT_NAME_LIMIT} && self.matches('{OBJECT_NAME}')", OBJECT_NAME_FIX)
        ),
    ),
]
Digest = Annotated[
    str,
    Field(
        max_length=128,  # the pattern says the length; a lower limit here would hide the sentence
        pattern=DIGEST,
        json_schema_extra=rules(
            (f"self.matches('{DIGEST}')", "write the digest as sha256: and 64 lower-case hex digits")
        ),
    ),
]

STORES = "^(s3|pvc)://[^/?#]+(/[^?#]*)?$"
NO_CLIMBING = ("!self.contains('/../') && !self.endsWith('/..')", "write the path without '..'")
# The same rules for every place that names data: the messages say what is served today.
URI_RULES = (
    (
        f"self.matches('{STORES}')",
        "write s3://bucket/path or pvc://claim/path; other stores are not supported",
    ),
    NO_CLIMBING,
)
Uri = Annotated[str, Field(min_length=1, max_length=1024, json_schema_extra=rules(*URI_RULES))]

Quantity = Annotated[
    str | int,
    Field(
        json_schema_extra={
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "x-kubernetes-int-or-string": True,
            "maxLength": 64,
        }
        | rules(
            (
                "type(self) == int ? self >= 0 : isQuantity(self) && !quantity(self).isLessThan(quantity('0'))",
                "write a Kubernetes quantity of at least 0, such as 500m, 2 or 4Gi",
            )
        )
    ),
]
QualifiedKey = Annotated[str, Field(max_length=316)]
LabelValue = Annotated[str, Field(max_length=63)]


class Condition(Model):
    """A Kubernetes condition; `lastTransitionTime` moves only when `status` flips."""

    type: Annotated[str, Field(max_length=64)]
    status: Annotated[str, Field(pattern="^(True|False|Unknown)$", max_length=7)]
    reason: Annotated[str, Field(max_length=128)]
    message: Annotated[str, Field(max_length=4096)] = ""
    last_transition_time: Annotated[str, Field(max_length=32)]
    observed_generation: int = 0


CONDITION_LIST = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}
