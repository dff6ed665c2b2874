"""What a gate asks for."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

MIN_RETENTION = Field(gt=0, le=1, description="Share of the teacher's accuracy the student must exceed.")
INCUMBENT_MARGIN = Field(ge=0, lt=1, description="Accuracy that may be lost to the incumbent; 0.01 is one point.")
LEVEL = Field(gt=0, le=0.2, description="One-sided error rate of each criterion.")


class Gate(BaseModel):
    """Thresholds and error level; unknown fields, text and booleans in place of numbers are refused."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
    )

    min_retention: Annotated[float, MIN_RETENTION]
    incumbent_margin: Annotated[float, INCUMBENT_MARGIN] = 0.0
    level: Annotated[float, LEVEL] = 0.05
