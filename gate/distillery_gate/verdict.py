"""What the gate answers: immutable records with camel-case JSON."""

from typing import Literal

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from .looks import Look

COST_CRITERIA = frozenset({"latencyP50", "latencyP99", "artifactBytes", "memoryBytes", "costPerMillion"})
Outcome = Literal["Pass", "Fail", "Inconclusive"]


class Record(BaseModel):
    """Camel-case in JSON, snake-case in Python, closed and immutable."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, serialize_by_alias=True, extra="forbid", frozen=True
    )


class Measurement(Record):
    """One model's value of the metric on the n items, with its interval."""

    name: str
    metric: str
    value: float
    low: float
    high: float
    n: int


class Comparison(Record):
    """A measured difference that decides nothing."""

    name: str
    value: float
    low: float
    high: float
    n: int
    message: str


class Criterion(Record):
    """One question of the gate: the measured value, its interval, and what was asked of it.

    `items_needed` is set only when Inconclusive, and only when more items would show a Pass at the observed
    rates: the total at which they would with 80 % power. `clusters` is absent where items are independent.
    """

    name: str
    verdict: Outcome
    value: float
    low: float
    high: float
    threshold: float
    n: int
    clusters: int | None = None
    items_needed: int | None = None
    message: str


class Calibration(Record):
    """How far a model's confidence in its answers is from how often they are right."""

    name: str
    error: float
    low: float
    high: float
    brier: float
    n: int


class SliceResult(Record):
    """The student in one slice of the items; without value and bounds where the slice shows none.

    `low` is a one-sided bound at the verdict's level, `high` one at that level divided by the number of slices.
    `items_needed` counts items of all slices.
    """

    name: str
    verdict: Outcome
    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int
    items_needed: int | None = None
    message: str


class PerturbationResult(Record):
    """The student on items that are changed in one way: its accuracy minus that on the items as they are.

    `low` is a one-sided bound at the verdict's level, `high` one at that level divided by the number of perturbations.
    """

    name: str
    verdict: Outcome
    value: float
    low: float
    high: float
    n: int
    items_needed: int | None = None
    message: str


class Verdict(Record):
    """The decision on a student. All intervals are two-sided with coverage 1 - 2 * level, as its look leaves it."""

    verdict: Outcome
    level: float
    look: Look
    n: int
    criteria: tuple[Criterion, ...]
    slices: tuple[SliceResult, ...] = ()
    perturbations: tuple[PerturbationResult, ...] = ()
    calibration: tuple[Calibration, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    measurements: tuple[Measurement, ...]

    @property
    def may_extend(self) -> bool:
        """Whether more items might decide it."""
        waiting = [each.name for each in self.criteria if each.verdict == "Inconclusive"]
        return self.verdict == "Inconclusive" and not set(waiting) <= COST_CRITERIA
