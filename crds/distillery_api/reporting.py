"""What an evaluation leaves beside its verdict: spec.report of a DistillationJob."""

from typing import Annotated

from pydantic import Field

from .schema import Model


class ReportSpec(Model):
    """What stands in the report besides the verdict and what it was taken from."""

    examples: Annotated[
        bool,
        Field(description="Copies some held-out rows into the report: those that the student answers worst."),
    ] = False
