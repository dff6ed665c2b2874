"""A server that answers chat completions: where it is, and how it is asked."""

from typing import Annotated

from pydantic import Field

from .schema import Model, rules
from .sources import SecretRef

API_KEY = "apiKey"  # the Secret's key that holds a server's API key


class ChatServer(Model):
    """A model at an OpenAI-compatible server (vLLM, llama.cpp, a hosted model)."""

    url: Annotated[
        str,
        Field(
            max_length=1024,
            json_schema_extra=rules(
                (
                    r"self.matches('^https?://[^/?#@\\s]+(/[^?#\\s]*)?$')",
                    "write the base url of the API, such as https://host/v1, without user, query or fragment",
                )
            ),
        ),
    ]
    model: Annotated[str, Field(min_length=1, max_length=256, description="The model's name at the server.")]
    secret_ref: Annotated[SecretRef, Field(description=f"A Secret whose key {API_KEY} holds the API key.")] | None = (
        None
    )
    concurrency: Annotated[int, Field(ge=1, le=1000, description="Questions under way at once, in each shard.")] = 8
    timeout_seconds: Annotated[int, Field(ge=1, le=3600, description="For one answer.")] = 60
    token_budget: (
        Annotated[int, Field(ge=1, le=10**12, description="Tokens of prompts and answers that this job may spend.")]
        | None
    ) = None
