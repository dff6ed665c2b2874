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


def rules(*pairs: tuple[str, str]) -> dict[str, Any]:
    """CEL rules for `json_schema_extra`: pairs of (expression, message)."""
    return {"x-kubernetes-validations": [{"rule": rule, "message": message} for rule, message in pairs]}


DNS_LABEL = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
DIGEST = r"^sha256:[0-9a-f]{64}$"

Name = Annotated[str, Field(min_length=1, max_length=63, pattern=DNS_LABEL)]
Digest = Annotated[
    str,
    Field(
        min_length=71,
        max_length=71,
        pattern=DIGEST,
        json_schema_extra=rules(
            (
                "self.matches('^sha256:[0-9a-f]{64}$')",
                "write the digest as sha256: and 64 lower-case hex digits",
            )
        ),
    ),
]

# One rule for every place that names data: the message says what is served today.
Uri = Annotated[
    str,
    Field(
        min_length=1,
        max_length=1024,
        json_schema_extra=rules(
            (
                "self.matches('^(s3|pvc)://[^/?#]+(/[^?#]*)?$')",
                "write s3://bucket/path or pvc://claim/path; other stores are not supported",
            ),
            ("!self.contains('/../') && !self.endsWith('/..')", "the path must not contain '..'"),
        ),
    ),
]

# A Kubernetes quantity, as its own CRDs write it.
NUMBER = r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))"
SUFFIX = r"(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$"
Quantity = Annotated[
    str | int,
    Field(
        json_schema_extra={
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "x-kubernetes-int-or-string": True,
            "pattern": NUMBER + SUFFIX,
        }
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
