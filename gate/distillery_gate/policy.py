"""What a gate asks for."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

MIN_RETENTION = Field(gt=0, le=1, description="Share of the teacher's accuracy the student must exceed.")
INCUMBENT_MARGIN = Field(ge=0, lt=1, description="Accuracy that may be lost to the incumbent; 0.01 is one point.")
LEVEL = Field(gt=0, le=0.2, description="One-sided error of all verdicts on one test set together, in each criterion.")

# Of the names that a gate knows metrics by, what items call them.
METRICS = {
    "accuracy": "accuracy",
    "macroF1": "macro F1",
    "meanAbsoluteError": "mean absolute error",
    "ndcg": "NDCG@10",
}


class Policy(BaseModel):
    """Unknown fields, text and booleans in place of numbers are refused."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
    )


class SliceGate(Policy):
    """What every slice of the items must show."""

    min_retention: Annotated[float, MIN_RETENTION]
    min_items: Annotated[int, Field(ge=1, description="A slice with fewer of them shows nothing.")] = 50


class RobustnessGate(Policy):
    """What the student must keep on items that are changed."""

    max_accuracy_loss: Annotated[
        float, Field(gt=0, lt=1, description="Accuracy that may be lost under each perturbation; 0.05 is five points.")
    ]
    perturbations: Annotated[
        Sequence[str] | None, Field(min_length=1, description="Names of those that are asked about; all without it.")
    ] = None


class PriceGate(Policy):
    """What a million answers may cost, in the currency of `core_hour`."""

    core_hour: Annotated[float, Field(gt=0, description="Price of one core for one hour.")]
    max_per_million: Annotated[float, Field(gt=0, description="What a million answers must cost less than.")]


class CostGate(Policy):
    """Ceilings of what the student costs. What is not set is not asked."""

    max_p50_ms: Annotated[float | None, Field(gt=0, description="Half of all answers must take less.")] = None
    max_p99_ms: Annotated[float | None, Field(gt=0, description="99 % of all answers must take less.")] = None
    max_artifact_bytes: Annotated[int | None, Field(ge=1, description="Most that its files may take.")] = None
    max_memory_bytes: Annotated[int | None, Field(ge=1, description="Most that a process may hold.")] = None
    price: PriceGate | None = None
    min_measurements: Annotated[int, Field(ge=2, description="Answers that must be timed.")] = 1000


class Gate(Policy):
    """Thresholds and error level. What is not set is not asked."""

    metric: Annotated[
        Literal["accuracy", "macroF1", "meanAbsoluteError", "ndcg"] | None,
        Field(description="What the items must be measured by; any metric where it is not set."),
    ] = None
    min_retention: Annotated[float, MIN_RETENTION]
    incumbent_margin: Annotated[float, INCUMBENT_MARGIN] = 0.0
    chance_accuracy: Annotated[
        float | None, Field(ge=0, lt=1, description="Accuracy of guessing, which the teacher must exceed.")
    ] = None
    min_accuracy: Annotated[float | None, Field(gt=0, lt=1, description="Accuracy the student must exceed.")] = None
    min_f1: Annotated[float | None, Field(gt=0, lt=1, description="Macro F1 the student must exceed.")] = None
    min_ndcg: Annotated[float | None, Field(gt=0, lt=1, description="NDCG@10 the student must exceed.")] = None
    max_mean_absolute_error: Annotated[
        float | None, Field(gt=0, description="What the student's mean absolute error must stay below.")
    ] = None
    max_perplexity: Annotated[
        float | None, Field(gt=1, description="What the student's perplexity must stay below.")
    ] = None
    min_score: Annotated[float | None, Field(gt=0, description="Mean score the student must exceed.")] = None
    min_win_rate: Annotated[
        float | None, Field(gt=0, lt=1, description="Share of wins, half for ties, the student must exceed.")
    ] = None
    max_negative_flips: Annotated[
        float | None,
        Field(
            gt=0,
            lt=1,
            description="Share of items that the incumbent, or else the teacher, has right and the student wrong.",
        ),
    ] = None
    max_copied_errors: Annotated[
        float | None,
        Field(
            ge=0,
            lt=1,
            description="Share of items on which the student may repeat the teacher's mistake and the control not.",
        ),
    ] = None
    max_calibration_error: Annotated[
        float | None, Field(gt=0, lt=1, description="What the student's calibration error must stay below.")
    ] = None
    max_contamination: Annotated[
        float | None, Field(ge=0, lt=1, description="Share of items that may stand in what the student learned from.")
    ] = None
    slices: SliceGate | None = None
    robustness: RobustnessGate | None = None
    cost: CostGate | None = None
    evidence: Annotated[
        Literal["Interval", "Point"],
        Field(description="Whether the whole interval must lie beyond a threshold, or the value alone."),
    ] = "Interval"
    level: Annotated[float, LEVEL] = 0.05
