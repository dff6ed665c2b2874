"""The parts of a gate that are asked for as a whole."""

from typing import Annotated, Any, Self

from pydantic import Field

from .schema import Model, rules

SHARE = "write a share of 1: 0.95, not 95"
POINT = "write a share of 1: 0.01 for one point of accuracy"
EXCEEDED = ("min_", "chance_", "first_")  # how names of fields begin of which the larger value is the stricter
STRICTEST_LAST = {"on_inconclusive": ("Hold", "Extend", "Fail"), "evidence": ("Point", "Interval")}

Retention = Annotated[
    float,
    Field(
        gt=0,
        le=1,
        description="Share of the teacher's quality that the student must exceed.",
        json_schema_extra=rules(("self <= 1.0", SHARE)),
    ),
]


class Criteria(Model):
    """What two gates may both ask for: of each value the stricter one counts, and what either sets is asked."""

    def stricter(self, other: Self) -> Self:
        """The stricter of each value; the metric is that of `other`, since none is stricter."""
        fields = type(self).model_fields
        return type(self)(**{name: stricter_of(name, getattr(self, name), getattr(other, name)) for name in fields})


def stricter_of(name: str, one: Any, other: Any) -> Any:
    """The stricter of two values of a field, by whether its name is of something that must be exceeded."""
    if name == "metric":
        return other
    if one is None or other is None:
        return other if one is None else one
    if isinstance(one, Criteria):
        return one.stricter(other)
    if name in STRICTEST_LAST:
        return max(one, other, key=STRICTEST_LAST[name].index)
    return max(one, other) if name.startswith(EXCEEDED) else min(one, other)


class SliceGate(Criteria):
    """What each value of dataset.columns.slice must show by itself."""

    min_retention: Retention
    min_items: Annotated[
        int, Field(ge=10, le=1000000, description="Held-out rows of each slice; fewer fail preflight.")
    ] = 50
