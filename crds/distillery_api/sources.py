"""Where models, keys and data come from: shapes that teachers, students and storage share."""

from typing import Annotated

from pydantic import Field

from .schema import Digest, Model, Uri, rules


class ModelSource(Model):
    """A folder with a Hugging Face model: config.json, tokenizer.json, and safetensors weights or one ONNX file."""

    uri: Uri
    digest: Annotated[Digest, Field(description="Refuse the folder when its content differs.")] | None = None


class SecretRef(Model):
    """A Secret of this namespace, given to the pods as environment variables; the operator never reads it."""

    name: Annotated[
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
