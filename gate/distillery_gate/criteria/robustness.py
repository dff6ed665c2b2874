"""Robustness: what the student loses on items that are changed a little, such as by typos.

The student must pass under every perturbation at the level of the gate, and fails only where the loss is shown under
one of them at level / perturbations: for why, see `slices`.
"""

from ..errors import GateInputError
from ..intervals import Interval
from ..items import EvaluationItems, Items
from ..pairs import AnswersPair
from ..policy import Gate, RobustnessGate
from ..verdict import Criterion, PerturbationResult
from ..wording import decimals_for, outlook, plain
from .by_value import by_value
from .placing import above, worst_of
from .slices import ORDER


def judge_robustness(
    items: Items, gate: Gate, asked: RobustnessGate
) -> tuple[Criterion, tuple[PerturbationResult, ...]]:
    """Does the student lose less than `max_accuracy_loss` under every perturbation? These come worst first.

    Raises GateInputError where the items lack the student's answers to one.
    """
    threshold = 0.0 - asked.max_accuracy_loss
    changed = answers_to(items, asked)
    judged = (
        judge_perturbation(name, pair, items.cluster_count, threshold, gate.level, len(changed))
        for name, pair in changed.items()
    )
    found = [by_value(each, threshold, gate) for each in judged]
    found.sort(key=lambda each: (ORDER.index(each.verdict), each.low, each.name))
    return criterion_of(items, found, threshold), tuple(found)


def answers_to(items: Items, asked: RobustnessGate) -> dict[str, AnswersPair]:
    """The student on changed items against itself on the items as they are, by perturbation. Raises GateInputError."""
    perturbed = items.perturbed if isinstance(items, EvaluationItems) else {}
    names = list(perturbed) if asked.perturbations is None else asked.perturbations
    missing = [name for name in names if name not in perturbed]
    if not names or missing:
        which = f"to items with {missing[0]}" if missing else "to changed items"
        raise GateInputError(
            f"robustness: the items have no answers of the student {which}; record them as"
            f" student_{missing[0] if missing else 'typos'}, or leave it out"
        )
    return {name: AnswersPair(perturbed[name], items.student, items.clusters) for name in names}


def judge_perturbation(
    name: str, pair: AnswersPair, clusters: int | None, threshold: float, level: float, perturbations: int
) -> PerturbationResult:
    """One perturbation by itself."""
    other = level / perturbations
    interval = Interval(pair.difference_interval(level).low, pair.difference_interval(other).high)
    verdict, value, (low, high) = above(interval, threshold), pair.difference(), interval
    needed = pair.difference_items_needed(threshold, level) if verdict == "Inconclusive" else None
    decimals = decimals_for(threshold, low, high)
    before, after = (f"{right / pair.n:.{decimals}f}" for right in (pair.counts.reference, pair.counts.new))
    where = "" if clusters is None else f" in {clusters:,} clusters"
    message = (
        f"the student's accuracy goes from {before} to {after}, a difference of {value:.{decimals}f} (above"
        f" {low:.{decimals}f} and below {high:.{decimals}f} with errors of {100 * level:.3g} % and {100 * other:.2g} %,"
        f" n = {pair.n:,}{where})"
    )
    return PerturbationResult(
        name=name, verdict=verdict, value=value, low=low, high=high, n=pair.n, items_needed=needed, message=message
    )


def criterion_of(items: Items, found: list[PerturbationResult], threshold: float) -> Criterion:
    """The perturbations as one criterion, with the numbers of the worst one."""
    worst, verdict = found[0], worst_of([each.verdict for each in found])
    undecided = [each.items_needed for each in found if each.verdict == "Inconclusive"]
    needed = None if None in undecided else max((each for each in undecided if each), default=None)
    more = outlook(needed, items.cluster_count)
    ending = {"Pass": "", "Fail": "; that is below", "Inconclusive": f"; {more}"}[verdict]
    return Criterion(
        name="robustness",
        verdict=verdict,
        **worst.model_dump(include={"value", "low", "high", "n"}),
        threshold=threshold,
        clusters=items.cluster_count,
        items_needed=needed if verdict == "Inconclusive" else None,
        message=f"Of {len(found)} perturbations '{worst.name}' is worst: {worst.message};"
        f" the gate asks for more than {plain(threshold)} under each{ending}.",
    )
