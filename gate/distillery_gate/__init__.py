"""Statistical gate for distilled students: per-item results in, a verdict with its evidence out."""

from .costs import Costs, Machine, costs_of
from .decision import decide
from .errors import GateError, GateInputError
from .f1 import F1Items
from .items import ErrorItems, EvaluationItems, Items
from .looks import Look
from .paired_likelihood import LikelihoodItems
from .policy import CostGate, Gate, PriceGate, RobustnessGate, SliceGate
from .ranking import RankingItems
from .recorded import items_of
from .scores import ScoreItems
from .verdict import Calibration, Comparison, Criterion, Measurement, Outcome, PerturbationResult, SliceResult, Verdict
from .wins import WinItems

__all__ = [
    "Calibration",
    "Comparison",
    "CostGate",
    "Costs",
    "Criterion",
    "ErrorItems",
    "EvaluationItems",
    "F1Items",
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
    "RankingItems",
    "RobustnessGate",
    "ScoreItems",
    "SliceGate",
    "SliceResult",
    "Verdict",
    "WinItems",
    "costs_of",
    "decide",
    "items_of",
]
