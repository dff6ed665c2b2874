"""A chat model that grades what a teacher wrote."""

from typing import Annotated, Any

from pydantic import Field

from .chat_server import ChatServer
from .schema import Model

JUDGE_API_KEY = "JUDGE_API_KEY"  # the environment variable that holds the key of its endpoint


class Judge(Model):
    """A chat model that gives each answer a grade from 1 to 10; lower ones and answers without one are not learned."""

    endpoint: Annotated[ChatServer, Field(description="Who grades.")]
    instruction: Annotated[
        str, Field(min_length=1, max_length=8192, description="What it is told to grade by; the scale is told after.")
    ] = "Grade the answer to the prompt by how helpful, correct, complete and clear it is."
    min_score: Annotated[int, Field(ge=1, le=10, description="Least grade of an answer that is learned.")]

    def deciding(self) -> dict[str, Any]:
        """What the answers that it keeps depend on: not with which key, how fast and at what price it is asked."""
        endpoint = {"url": self.endpoint.url, "model": self.endpoint.model}
        return {"endpoint": endpoint, "instruction": self.instruction, "minScore": self.min_score}
