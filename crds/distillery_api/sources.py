"""Where models, keys and data come from: shapes that teachers, students and storage share."""

import re
from typing import Annotated

from pydantic import Field

from .schema import NO_CLIMBING, STORES, Digest, Model, rules

HUB = "^hf://([A-Za-z0-9._-]+/[A-Za-z0-9._-]+)@([A-Za-z0-9._/-]+)$"  # repository, revision
OCI = "^oci://([A-Za-z0-9._:-]+)/([a-z0-9._/-]+)(:[A-Za-z0-9_][A-Za-z0-9_.-]*|@sha256:[0-9a-f]{64})$"
COMMIT = "^[0-9a-f]{40}$"
Revision = Annotated[str, Field(max_length=128)]  # a commit, or a manifest's digest

ModelUri = Annotated[
    str,
    Field(
        min_length=1,
        max_length=1024,
        json_schema_extra=rules(
            (
                " || ".join(f"self.matches('{pattern}')" for pattern in (STORES, HUB, OCI)),
                "write s3://bucket/path, pvc://claim/path, hf://org/name@revision or oci://registry/repository:tag"
                " (or @sha256:…)",
            ),
            NO_CLIMBING,
        ),
    ),
]


class ModelSource(Model):
    """A folder with a Hugging Face model: config.json, tokenizer.json, and safetensors weights or one ONNX file."""

    uri: ModelUri
    digest: Annotated[Digest, Field(description="Refuse the folder when its content differs.")] | None = None


SecretName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=253,
        json_schema_extra=rules(
            (
                "self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')",
                "write a Secret's name: lower-case letters, digits, dashes and dots",
            )
        ),
    ),
]


class SecretRef(Model):
    """A Secret of this namespace, given to the pods as environment variables; the operator never reads it."""

    name: SecretName


def revision_of(uri: str) -> str | None:
    """The commit of a hub's repository or the digest of an OCI manifest that the address names.

    None for an address whose content is not named by it: a folder in storage, a branch, a tag.
    """
    revision = uri.rpartition("@")[2]
    if re.match(HUB, uri):
        return revision if re.match(COMMIT, revision) else None
    return revision if re.match(OCI, uri) and revision != uri else None


def at_revision(uri: str, revision: str) -> str:
    """The same repository at a commit (hf://) or at the digest of a manifest (oci://)."""
    if found := re.match(OCI, uri):
        return f"oci://{found[1]}/{found[2]}@{revision}"
    return f"{uri.rpartition('@')[0]}@{revision}"
