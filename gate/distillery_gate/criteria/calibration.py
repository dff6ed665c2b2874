"""Whether the student's confidence can be taken at its word."""

from collections.abc import Iterator

from ..calibration import brier_score, calibration_error, calibration_items_needed
from ..errors import GateInputError
from ..items import EvaluationItems, Items
from ..policy import Gate
from ..verdict import Calibration, Criterion
from ..wording import decimals_for, evidence, plain
from .placing import below, remark


def judge_calibration(items: Items, gate: Gate, most: float) -> Criterion:
    """Is the student's calibration error shown to be less than `most`? Raises GateInputError without confidences."""
    if not isinstance(items, EvaluationItems) or "student" not in items.confidences or items.n < 2:
        raise GateInputError(
            "maxCalibrationError: the items have no confidence of the student; record it as student_confidence, or"
            " leave it out"
        )
    given = items.student, items.confidences["student"], items.clusters
    value, interval = calibration_error(*given, gate.level)
    verdict = below(interval, most)
    needed = calibration_items_needed(*given, most, gate.level) if verdict == "Inconclusive" else None
    decimals = decimals_for(most, *interval)
    shown = evidence(*interval, level=gate.level, n=items.n, clusters=items.cluster_count, decimals=decimals)
    return Criterion(
        name="calibrationError",
        verdict=verdict,
        value=value,
        **interval._asdict(),
        threshold=most,
        n=items.n,
        clusters=items.cluster_count,
        items_needed=needed,
        message=f"The student's confidence and its accuracy differ by {value:.{decimals}f} on average ({shown});"
        f" the gate asks for less than {plain(most)}{remark(verdict, 'above', needed, items.cluster_count)}.",
    )


def calibrations(items: Items, level: float) -> Iterator[Calibration]:
    """Of every model whose confidences are known."""
    if isinstance(items, EvaluationItems) and items.n > 1:
        for name, confidence in items.confidences.items():
            right = getattr(items, name)
            error, interval = calibration_error(right, confidence, items.clusters, level)
            brier = brier_score(right, confidence)
            yield Calibration(name=name, error=error, **interval._asdict(), brier=brier, n=items.n)
