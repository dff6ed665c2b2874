"""Decides whether a student may serve: one criterion per question, then the worst of them."""

from collections.abc import Iterator

from .costs import Costs
from .criteria.absolute import judge_absolute
from .criteria.by_value import by_value
from .criteria.calibration import calibrations, judge_calibration
from .criteria.contamination import compare_contamination, judge_contamination
from .criteria.copied_errors import compare_copied_errors, judge_copied_errors
from .criteria.cost import judge_cost
from .criteria.flips import judge_flips
from .criteria.incumbent import judge_incumbent
from .criteria.placing import worst_of
from .criteria.retention import judge_retention
from .criteria.robustness import judge_robustness
from .criteria.slices import judge_slices
from .errors import GateInputError
from .items import Items
from .looks import FIRST, Look
from .pairs import Pair
from .policy import METRICS, Gate
from .verdict import Comparison, Measurement, PerturbationResult, SliceResult, Verdict
from .wording import decimals_for, evidence

IN_PARTS = ("worstSlice", "robustness")  # whose parts are decided on first


def decide(items: Items, gate: Gate, look: Look = FIRST, costs: Costs | None = None) -> Verdict:
    """The verdict on the student; pure, and the same for any order of the items.

    Fail if a criterion fails, else Inconclusive if one is, else Pass.

    look: which verdict on this test set it is, which says how much of the gate's level it may spend.

    Raises:
        GateInputError: when the teacher is right on no item, or never wrong by anything, so that there is no ratio; and
            when the items have another metric than the gate asks for; and when they, or the costs, lack what a
            criterion of the gate is about.
    """
    check_metric(items, gate)
    spent = look.spent(gate.level)
    gate = gate.model_copy(update={"level": look.level(gate.level)})
    criteria, slices = [judge_retention(items, gate)], tuple[SliceResult, ...]()
    perturbations = tuple[PerturbationResult, ...]()
    if items.incumbent is not None:
        criteria.append(judge_incumbent(items, items.pair(items.incumbent), gate))
    criteria += judge_absolute(items, gate)
    if gate.max_negative_flips is not None:
        criteria.append(judge_flips(items, gate, gate.max_negative_flips))
    if gate.max_copied_errors is not None:
        criteria.append(judge_copied_errors(items, gate, gate.max_copied_errors))
    if gate.max_calibration_error is not None:
        criteria.append(judge_calibration(items, gate, gate.max_calibration_error))
    if gate.max_contamination is not None:
        criteria.append(judge_contamination(items, gate, gate.max_contamination))
    if gate.slices is not None:
        criterion, slices = judge_slices(items, gate, gate.slices)
        criteria.append(criterion)
    if gate.robustness is not None:
        criterion, perturbations = judge_robustness(items, gate, gate.robustness)
        criteria.append(criterion)
    if gate.cost is not None:
        criteria += judge_cost(costs, gate.cost, spent)  # measured once, whatever items were seen
    criteria = [each if each.name in IN_PARTS else by_value(each, each.threshold, gate) for each in criteria]
    return Verdict(
        verdict=worst_of([criterion.verdict for criterion in criteria]),
        level=gate.level,
        look=look,
        n=items.n,
        criteria=tuple(criteria),
        slices=slices,
        perturbations=perturbations,
        calibration=tuple(calibrations(items, gate.level)),
        comparisons=tuple(compare(items, gate)),
        measurements=measure_all(items, gate.level),
    )


def check_metric(items: Items, gate: Gate) -> None:
    """Raises GateInputError where the items are measured by another metric than the gate asks for."""
    if gate.metric is not None and METRICS[gate.metric] != items.metric:
        raise GateInputError(
            f"metric: the gate asks for {METRICS[gate.metric]} and the items have {items.metric}; give items of that"
            " metric, or change the gate"
        )


def compare(items: Items, gate: Gate) -> Iterator[Comparison]:
    """What is told beside the criteria."""
    if items.control is not None:
        yield compare_control(items, items.pair(items.control), gate.level)
    if gate.max_copied_errors is None and (found := compare_copied_errors(items, gate.level)):
        yield found
    if gate.max_contamination is None and (known := compare_contamination(items, gate.level)):
        yield known


def compare_control(items: Items, pair: Pair, level: float) -> Comparison:
    """How much the soft labels brought, against the same student trained without them."""
    value, interval = pair.difference(), pair.difference_interval(level)
    shown = evidence(
        *interval, level=level, n=items.n, clusters=items.cluster_count, decimals=decimals_for(0.0, *interval)
    )
    message = f"{items.gain('control')} is {value:.3f} ({shown}); this decides nothing."
    return Comparison(name="control", value=value, **interval._asdict(), n=items.n, message=message)


def measure_all(items: Items, level: float) -> tuple[Measurement, ...]:
    """Every model that was evaluated."""
    names = ("teacher", "student", "incumbent", "control")
    return tuple(measure(items, name, level) for name in names if getattr(items, name) is not None)


def measure(items: Items, name: str, level: float) -> Measurement:
    """One model."""
    value, interval = items.measure(getattr(items, name), level)
    return Measurement(name=name, metric=items.metric, value=value, **interval._asdict(), n=items.n)
