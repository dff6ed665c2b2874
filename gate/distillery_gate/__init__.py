"""Statistical gate for distilled students: per-item results in, a verdict with its evidence out."""

from .decision import decide
from .errors import GateError, GateInputError
from .inputs import EvaluationItems
from .policy import Gate
from .verdict import Accuracy, Comparison, Criterion, Outcome, Verdict

__all__ = [
    "Accuracy",
    "Comparison",
    "Criterion",
    "EvaluationItems",
    "Gate",
    "GateError",
    "GateInputError",
    "Outcome",
    "Verdict",
    "decide",
]
