"""Ceilings of what a student costs where it serves: time, size, memory and price of its answers."""

from typing import Annotated, Self

from pydantic import BeforeValidator, ConfigDict, Field

from .gate_criteria import Criteria
from .quantities import bytes_of
from .schema import rules

CEILINGS = ("maxP50Ms", "maxP99Ms", "maxArtifactBytes", "maxMemoryBytes", "price")
ByteCount = Annotated[
    int,
    BeforeValidator(bytes_of),
    Field(
        ge=1,
        json_schema_extra={
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "x-kubernetes-int-or-string": True,
            "maxLength": 64,
        }
        | rules(
            (
                "type(self) == int ? self >= 1"
                " : isQuantity(self) && !quantity(self).isLessThan(quantity('1'))"
                " && quantity(self).isLessThan(quantity('8E'))",
                "write bytes as a Kubernetes quantity of at least 1, such as 20Mi",
            )
        ),
    ),
]
Milliseconds = Annotated[float, Field(gt=0, le=1e6)]


class PriceGate(Criteria):
    """What a million answers may cost, in the currency of the core-hour. Of two, the one of less CPU time counts."""

    core_hour: Annotated[float, Field(gt=0, le=1e6, description="Price of one core for one hour.")]
    max_per_million: Annotated[float, Field(gt=0, le=1e9, description="What a million answers must cost less than.")]

    def stricter(self, other: Self) -> Self:
        """The one that leaves a million answers less time of a core."""
        return min(self, other, key=lambda each: (each.max_per_million / each.core_hour, each.core_hour))


class CostGate(Criteria):
    """Ceilings, measured on the artifact that serves, one answer at a time on one thread."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                " || ".join(f"has(self.{name})" for name in CEILINGS),
                f"set a ceiling: {', '.join(CEILINGS)}; or remove cost",
            )
        )
    )

    max_p50_ms: Annotated[Milliseconds, Field(description="Half of the answers must take less.")] | None = None
    max_p99_ms: Annotated[Milliseconds, Field(description="99 % of the answers must take less.")] | None = None
    max_artifact_bytes: Annotated[ByteCount, Field(description="Most that the artifact's files may take.")] | None = (
        None
    )
    max_memory_bytes: (
        Annotated[ByteCount, Field(description="Most that a process may hold while it answers.")] | None
    ) = None
    price: PriceGate | None = None
    min_measurements: Annotated[int, Field(ge=500, le=100000, description="Answers that are timed.")] = 1000
