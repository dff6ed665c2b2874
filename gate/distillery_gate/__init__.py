"""Statistical gate for distilled students: per-item results in, a verdict with its evidence out."""

from .decision import decide
from .errors import GateError, GateInputError
from .inputs import ErrorItems, EvaluationItems, Items
from .paired_likelihood import LikelihoodItems
from .policy import Gate
from .verdict import Comparison, Criterion, Measurement, Outcome, Verdict

__all__ = [
    "Comparison",
    "Criterion",
    "ErrorItems",
    "EvaluationItems",
    "Gate",
    "GateError",
    "GateInputError",
    "Items",
    "LikelihoodItems",
    "Measurement",
    "Outcome",
    "Verdict",
    "decide",
]
