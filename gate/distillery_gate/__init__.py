"""Statistical gate for distilled students: per-item results in, a verdict with its evidence out."""

from .decision import decide
from .errors import GateError, GateInputError
from .items import ErrorItems, EvaluationItems, Items
from .looks import Look
from .paired_likelihood import LikelihoodItems
from .policy import Gate, RobustnessGate, SliceGate
from .recorded import items_of
from .verdict import Calibration, Comparison, Criterion, Measurement, Outcome, PerturbationResult, SliceResult, Verdict

__all__ = [
    "Calibration",
    "Comparison",
    "Criterion",
    "ErrorItems",
    "EvaluationItems",
    "Gate",
    "GateError",
    "GateInputError",
    "Items",
    "LikelihoodItems",
    "Look",
    "Measurement",
    "Outcome",
    "PerturbationResult",
    "RobustnessGate",
    "SliceGate",
    "SliceResult",
    "Verdict",
    "decide",
    "items_of",
]
