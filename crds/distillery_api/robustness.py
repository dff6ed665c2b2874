"""What a student must keep on rows that are changed a little: gate.robustness."""

from collections.abc import Iterable, Iterator
from typing import Annotated, Literal, Self, get_args

from pydantic import AfterValidator, Field

from .gate_criteria import POINT, Criteria
from .schema import rules

Perturbation = Literal["typos", "case", "truncation", "noise", "blur"]

# Which tasks know which perturbations.
PERTURBATIONS_OF: dict[str, tuple[Perturbation, ...]] = {
    "text-classification": ("typos", "case", "truncation"),
    "image-classification": ("noise", "blur"),
}


def in_order(names: Iterable[Perturbation]) -> list[Perturbation]:
    """Each once, in the order of their type, so that gates that ask the same have one hash."""
    return sorted(set(names), key=get_args(Perturbation).index)


class RobustnessGate(Criteria):
    """How much of its accuracy the student may lose on rows that are changed, whatever the change."""

    max_accuracy_loss: Annotated[
        float,
        Field(
            gt=0,
            lt=1,
            description="Accuracy that the student may lose on changed rows (0.05 = 5 points).",
            json_schema_extra=rules(("self < 1.0", POINT)),
        ),
    ]
    perturbations: (
        Annotated[
            list[Perturbation],
            Field(
                min_length=1,
                max_length=len(get_args(Perturbation)),
                description="How rows are changed; all ways of the task without it.",
                json_schema_extra={
                    "x-kubernetes-list-type": "atomic",
                    **rules(("self.all(one, self.exists_one(other, other == one))", "name each perturbation once")),
                },
            ),
            AfterValidator(in_order),
        ]
        | None
    ) = None

    def stricter(self, other: Self) -> Self:
        """The smaller loss, under every perturbation that either names; one without a list names all."""
        mine, theirs = self.perturbations, other.perturbations
        return type(self)(
            max_accuracy_loss=min(self.max_accuracy_loss, other.max_accuracy_loss),
            perturbations=None if mine is None or theirs is None else [*mine, *theirs],
        )

    def of(self, task: str) -> tuple[Perturbation, ...]:
        """The perturbations that a job of the task is asked about."""
        return PERTURBATIONS_OF.get(task, ()) if self.perturbations is None else tuple(self.perturbations)


def perturbation_rules(gate: str) -> Iterator[tuple[str, str, str]]:
    """CEL rules on the spec around a gate, at a path such as `.promotion.gate`."""
    named = f"self{gate}.robustness"
    for task, known in PERTURBATIONS_OF.items():
        yield (
            f"self.task != '{task}' || !has({named}) || !has({named}.perturbations)"
            f" || {named}.perturbations.all(one, one in {list(known)})",
            f"the perturbations of {task} are {', '.join(known)}; remove the others",
            f"{gate}.robustness.perturbations",
        )
