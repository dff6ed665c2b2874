"""What a student must show: spec.gate of a DistillationJob, spec.promotion.gate of a DistilledModel."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from .cost_gate import CostGate
from .digests import digest_of
from .gate_criteria import POINT, Criteria, Retention, SliceGate
from .robustness import RobustnessGate, perturbation_rules
from .schema import rules

EXCEEDABLE = "write a share of 1 that can be exceeded: 0.8, not 80"


class GateSpec(Criteria):
    """What the evidence must show. A model's own gate is the floor: the stricter value of the two counts."""

    metric: (
        Annotated[
            Literal["accuracy", "macroF1", "meanAbsoluteError", "ndcg"],
            Field(description="What models are compared by; accuracy, meanAbsoluteError or perplexity without it."),
        ]
        | None
    ) = None
    min_retention: Retention = 0.95
    incumbent_margin: Annotated[
        float,
        Field(
            ge=0,
            lt=1,
            description="Accuracy that the student may lose to the incumbent (0.01 = 1 point).",
            json_schema_extra=rules(("self < 1.0", POINT)),
        ),
    ] = 0.01
    chance_accuracy: (
        Annotated[
            float,
            Field(
                ge=0,
                lt=1,
                description="Accuracy of guessing, which the teacher must exceed.",
                json_schema_extra=rules(("self < 1.0", "write a share of 1: 0.25 for one label of four")),
            ),
        ]
        | None
    ) = None
    min_accuracy: (
        Annotated[
            float,
            Field(
                gt=0,
                lt=1,
                description="Accuracy that the student must exceed.",
                json_schema_extra=rules(("self < 1.0", EXCEEDABLE)),
            ),
        ]
        | None
    ) = None
    min_f1: (
        Annotated[
            float,
            Field(
                gt=0,
                lt=1,
                description="Macro F1 that the student must exceed.",
                json_schema_extra=rules(("self < 1.0", EXCEEDABLE)),
            ),
        ]
        | None
    ) = None
    min_ndcg: (
        Annotated[
            float,
            Field(
                gt=0,
                lt=1,
                description="NDCG@10 that the student must exceed.",
                json_schema_extra=rules(("self < 1.0", EXCEEDABLE)),
            ),
        ]
        | None
    ) = None
    max_mean_absolute_error: (
        Annotated[float, Field(gt=0, le=1e9, description="What the student's mean error must stay below.")] | None
    ) = None
    max_perplexity: (
        Annotated[float, Field(gt=1, le=1e9, description="What the student's perplexity must stay below.")] | None
    ) = None
    max_negative_flips: (
        Annotated[
            float,
            Field(
                gt=0,
                lt=1,
                description="Share of rows that the incumbent, or else the teacher, has right and the student wrong.",
                json_schema_extra=rules(("self < 1.0", POINT)),
            ),
        ]
        | None
    ) = None
    max_copied_errors: (
        Annotated[
            float,
            Field(
                gt=0,
                lt=1,
                description="Share of rows with a mistake of the teacher that the student, not the control, repeats.",
                json_schema_extra=rules(("self < 1.0", POINT)),
            ),
        ]
        | None
    ) = None
    max_calibration_error: (
        Annotated[
            float,
            Field(
                gt=0,
                lt=1,
                description="What the student's calibration error must stay below.",
                json_schema_extra=rules(("self < 1.0", "write a share of 1: 0.05 for five points")),
            ),
        ]
        | None
    ) = None
    max_contamination: (
        Annotated[
            float,
            Field(
                ge=0,
                lt=1,
                description="Share of the held-out rows that may stand in what the student learned from.",
                json_schema_extra=rules(("self < 1.0", "write a share of 1: 0.01 for one row of a hundred")),
            ),
        ]
        | None
    ) = None
    slices: SliceGate | None = None
    evidence: Annotated[
        Literal["Interval", "Point"],
        Field(description="Whether the interval must lie beyond each threshold, or only the value (chance included)."),
    ] = "Interval"
    on_inconclusive: (
        Annotated[
            Literal["Fail", "Hold", "Extend"],
            Field(description="Whether an undecided student waits for a person, or is refused; Hold without it."),
        ]
        | None
    ) = None
    first_rows: (
        Annotated[
            int,
            Field(ge=100, le=100000000, description="Held-out rows of Extend's first stage, which later ones double."),
        ]
        | None
    ) = None
    robustness: RobustnessGate | None = None
    cost: CostGate | None = None

    @property
    def hash(self) -> str:
        """The gate's identity: it stands in the job's snapshot, in the verdict and on the model."""
        return digest_of(self.dump())

    @property
    def refuses_undecided(self) -> bool:
        """Whether a student that the rows do not decide on is refused, rather than held for a person."""
        return self.on_inconclusive == "Fail"


def asked(gate: Mapping[str, Any]) -> dict[str, Any]:
    """What distillery_gate.Gate reads of a gate as it is written: all that decides on given items."""
    return {name: value for name, value in gate.items() if name not in ("onInconclusive", "firstRows")}


# Which tasks have what a criterion is about.
TASKS_OF = {
    "chanceAccuracy": ("text-classification", "image-classification"),
    "minAccuracy": ("text-classification", "image-classification"),
    "minF1": ("text-classification", "image-classification"),
    "minNdcg": ("text-scoring",),
    "maxNegativeFlips": ("text-classification", "image-classification"),
    "maxCopiedErrors": ("text-classification", "image-classification"),
    "maxCalibrationError": ("text-classification", "image-classification"),
    "robustness": ("text-classification", "image-classification"),
    "maxMeanAbsoluteError": ("text-scoring",),
    "maxPerplexity": ("causal-lm",),
}
# Which tasks can be judged by a metric; the first of a task is its default.
TASKS_OF_METRIC = {
    "accuracy": ("text-classification", "image-classification"),
    "macroF1": ("text-classification", "image-classification"),
    "meanAbsoluteError": ("text-scoring",),
    "ndcg": ("text-scoring",),
}
# Limits that are about one metric, which the gate must then be by.
METRIC_OF = {"minF1": "macroF1", "minNdcg": "ndcg", "maxMeanAbsoluteError": "meanAbsoluteError"}


def default_metric(task: str) -> str | None:
    """What a gate without a metric compares by; None where there is no choice."""
    return next((metric for metric, tasks in TASKS_OF_METRIC.items() if task in tasks), None)


def gate_rules(gate: str) -> tuple[tuple[str, str, str], ...]:
    """CEL rules on the spec around a gate, at a path such as `.promotion.gate`."""
    by_task = [
        (
            f"!has(self{gate}.{name}) || self.task in {list(tasks)}",
            f"{name} is for {' and '.join(tasks)} alone; remove it",
            f"{gate}.{name}",
        )
        for name, tasks in TASKS_OF.items()
    ]
    by_metric = [
        (
            f"!has(self{gate}.metric) || self{gate}.metric != '{metric}' || self.task in {list(tasks)}",
            f"{metric} is for {' and '.join(tasks)} alone; remove it",
            f"{gate}.metric",
        )
        for metric, tasks in TASKS_OF_METRIC.items()
    ]
    limits = [
        (
            f"!has(self{gate}.{name}) || (has(self{gate}.metric) ? self{gate}.metric :"
            f" '{default_metric(TASKS_OF_METRIC[metric][0])}') == '{metric}'",
            f"{name} is a limit of metric {metric}; set gate.metric to it, or remove the limit",
            f"{gate}.{name}",
        )
        for name, metric in METRIC_OF.items()
    ]
    extending = (
        f"has(self{gate}.firstRows) == (has(self{gate}.onInconclusive) && self{gate}.onInconclusive == 'Extend')",
        "onInconclusive: Extend begins with firstRows held-out rows, and nothing else does; set both or neither",
        f"{gate}.firstRows",
    )
    return (*by_task, *by_metric, *limits, *perturbation_rules(gate), extending)


JOB_GATE_RULES = (
    *gate_rules(".gate"),
    (
        "!has(self.gate.slices) || has(self.dataset.columns.slice)",
        "name in dataset.columns.slice the column whose values are the slices",
        ".dataset.columns.slice",
    ),
    (
        "!has(self.gate.metric) || self.gate.metric != 'ndcg' || has(self.dataset.columns.query)",
        "gate.metric ndcg ranks the texts of a query; name the column of queries in dataset.columns.query",
        ".dataset.columns.query",
    ),
    (
        "!has(self.gate.maxCopiedErrors) || has(self.training.control)",
        "the teacher's mistakes are counted against a control; set training.control.learningRate to train one",
        ".training.control",
    ),
)
