"""Statistical gate for distilled students: per-item results in, a verdict with its evidence out."""

from .costs import Costs, Machine, costs_of
from .decision import decide
from .errors import GateError, GateInputError
from .items import ErrorItems, EvaluationItems, Items
from .looks import Look
from .paired_likelihood import LikelihoodItems
from .policy import CostGate, Gate, PriceGate, RobustnessGate, SliceGate
from .recorded import items_of
from .verdict import Calibration, Comparison, Criterion, Measurement, Outcome, PerturbationResult, SliceResult, Verdict

__all__ = [
    "Calibration",
    "Comparison",
    "CostGate",
    "Costs",
    "Criterion",
    "ErrorItems",
    "EvaluationItems",
    "Gate",
    "GateError",
    "GateInputError",
    "Items",
    "LikelihoodItems",
    "Look",
    "Machine",
    "Measurement",
    "Outcome",
    "PerturbationResult",
    "PriceGate",
    "RobustnessGate",
    "SliceGate",
    "SliceResult",
    "Verdict",
    "costs_of",
    "decide",
    "items_of",
]
