"""What answers of the student cost, as an evaluation measured it."""

from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, StrictFloat, ValidationError

from .errors import GateInputError
from .order_statistics import LONGEST
from .policy import CostGate, Policy

Milliseconds = Annotated[StrictFloat, Field(ge=0, le=LONGEST)]
Samples = Annotated[tuple[Milliseconds, ...], Field(min_length=2, strict=False)]  # JSON has lists


class Machine(Policy):
    """Where answers were timed."""

    cpu: Annotated[str, Field(min_length=1, max_length=128, description="Its model.")]
    threads: Annotated[int, Field(ge=1, description="That computed one answer.")]
    engine: Annotated[str, Field(min_length=1, max_length=128, description="With its version.")]

    def __str__(self) -> str:
        """As the sentences of a verdict name it."""
        return f"{self.threads} {'thread' if self.threads == 1 else 'threads'} of {self.cpu} in {self.engine}"


class Costs(Policy):
    """Answers to one input after the other, and the sizes of what gives them. What was not measured is left out."""

    latency_ms: Annotated[Samples | None, Field(description="Time of each answer.")] = None
    cpu_ms: Annotated[Samples | None, Field(description="CPU time of each answer.")] = None
    inputs: Annotated[int | None, Field(ge=1, description="Different ones; fewer than answers came in turn.")] = None
    artifact_bytes: Annotated[int | None, Field(ge=1, description="Of its files together.")] = None
    memory_bytes: Annotated[int | None, Field(ge=1, description="Most that a serving process held.")] = None
    measured_on: Machine | None = None

    def times(self, field: str, gate: CostGate) -> NDArray[np.float64]:
        """`latencyMs` or `cpuMs`: [answers]. Raises GateInputError where they, or their machine, are missing or few."""
        found = np.array(required(field, self.latency_ms if field == "latencyMs" else self.cpu_ms))
        if len(found) < gate.min_measurements:
            raise GateInputError(
                f"costs.{field}: has {len(found):,} answers, and cost.minMeasurements asks for"
                f" {gate.min_measurements:,}; time more, or ask for fewer"
            )
        return found

    @property
    def where(self) -> str:
        """How many answers to what, and where; raises GateInputError where that is missing."""
        inputs = required("inputs", self.inputs)
        return f"to {inputs:,} {'input' if inputs == 1 else 'inputs'} on {required('measuredOn', self.measured_on)}"


def required(field: str, value: Any) -> Any:
    """The value. Raises GateInputError where it is missing."""
    if value is None:
        raise GateInputError(f"costs.{field}: missing; measure it, or leave out what cost asks of it")
    return value


def costs_of(recorded: Mapping[str, Any] | None) -> Costs | None:
    """`costs` of a report; None where there are none. Raises GateInputError, naming the field."""
    try:
        return None if recorded is None else Costs.model_validate(recorded)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, ("costs", *first["loc"])))
        raise GateInputError(f"{where}: {first['msg']}; record what was measured") from error
