"""Whether the held-out rows can show what the gate asks for: found out before anything is paid for."""

from collections import Counter
from collections.abc import Mapping, Sequence

from distillery_api.gate import METRIC_OF, TASKS_OF, TASKS_OF_METRIC, GateSpec, default_metric
from distillery_api.robustness import PERTURBATIONS_OF
from distillery_api.tasks import TaskName
from distillery_gate import GateError, items_of
from distillery_gate.policy import METRICS

from ..data.files import Rows
from ..errors import InputRefused
from ..evaluation.recorded import recorded
from ..tasks.head import Head

SLICES_MISSING = (
    "gate.slices: the DistilledModel's gate asks for the worst slice, and dataset.columns.slice names no column; name"
    " the one whose values are the slices"
)


def check_held_out(test: Rows, head: Head, task: TaskName, gate: GateSpec, controlled: bool) -> None:
    """Raises InputRefused (EmptyTestSet, GateInput, SliceTooSmall). controlled: whether a control is trained"""
    if len(set(head.items(test))) < 2:
        raise InputRefused(
            "EmptyTestSet",
            "dataset.test: all rows are one, or of one group or query, and how such differ shows from two on, and well"
            " from some dozens; add held-out rows",
        )
    set_by_model = gate.dump()
    for name, tasks in TASKS_OF.items():
        if name in set_by_model and task not in tasks:
            raise InputRefused(
                "GateInput", f"gate.{name}: is for {' and '.join(tasks)}; remove it from the DistilledModel's gate"
            )
    if gate.robustness and (others := set(gate.robustness.of(task)) - set(PERTURBATIONS_OF[task])):
        raise InputRefused(
            "GateInput",
            f"gate.robustness.perturbations: {task} has no {min(others)}; remove it from the DistilledModel's gate",
        )
    check_metric(task, gate)
    if gate.max_copied_errors and not controlled:
        raise InputRefused(
            "GateInput",
            "gate.maxCopiedErrors: the DistilledModel's gate asks for a control; set training.control.learningRate",
        )
    if gate.metric == "ndcg":
        check_queries(test, head, gate)
    elif gate.slices:
        check_slices(test, head, gate.slices.min_items)


def check_contamination(test: Rows, known: Sequence[bool], head: Head, gate: GateSpec) -> None:
    """No more held-out rows stand in what is learned from than the gate allows. Raises InputRefused (TestInTraining).

    known: whether each of the rows does
    """
    names = head.truths(test)["query"] if gate.metric == "ndcg" else head.judged(test)
    found, items = {name for name, each in zip(names, known, strict=True) if each}, set(names)
    if gate.max_contamination is not None and len(found) > gate.max_contamination * len(items):
        raise InputRefused(
            "TestInTraining",
            f"dataset.test: {len(found)} of {len(items)} rows stand in dataset.train or unlabelled, in part or nearly,"
            f" and gate.maxContamination allows a share of {gate.max_contamination:g}; remove them, or set"
            " dataset.filters.contamination, which leaves such rows out of what is learned",
        )


def check_metric(task: TaskName, gate: GateSpec) -> None:
    """The task has the gate's metric, and its limits are of that. Raises InputRefused."""
    metric = gate.metric or default_metric(task)
    if gate.metric and task not in TASKS_OF_METRIC[gate.metric]:
        raise InputRefused(
            "GateInput",
            f"gate.metric: {gate.metric} is for {' and '.join(TASKS_OF_METRIC[gate.metric])}; change the"
            " DistilledModel's gate",
        )
    for name in gate.dump():
        if METRIC_OF.get(name, metric) != metric:
            raise InputRefused(
                "GateInput",
                f"gate.{name}: is a limit of metric {METRIC_OF[name]}, and the DistilledModel's gate is by {metric};"
                " remove it, or change the metric of the model's gate",
            )


def check_slices(test: Rows, head: Head, least: int) -> None:
    """There are slices, none of them smaller than the gate asks. Raises InputRefused."""
    if test.slices is None:
        raise InputRefused("GateInput", SLICES_MISSING)
    pairs = set(zip(test.slices, head.judged(test), strict=True))
    if twice := [item for item, slices in Counter(item for _, item in pairs).items() if slices > 1]:
        raise InputRefused(
            "GateInput",
            f"dataset.columns.slice: rows of '{twice[0]}' are of several slices, and are judged as one; give rows of a"
            " group one slice",
        )
    check_sizes(Counter(name for name, _ in pairs), least)


def check_sizes(counts: Mapping[str, int], least: int) -> None:
    """No slice has fewer items than the gate asks for. Raises InputRefused."""
    small = sorted((count, name) for name, count in counts.items() if count < least)
    if small:
        count, name = small[0]
        raise InputRefused(
            "SliceTooSmall",
            f"dataset.test: slice '{name}' has {count} rows to judge by, and gate.slices.minItems asks for {least}"
            f" ({len(small)} of {len(counts)} slices have fewer); add rows, join slices, or lower it",
        )


def check_queries(test: Rows, head: Head, gate: GateSpec) -> None:
    """The queries can be ranked, and have slices that are large enough. Raises InputRefused."""
    truths = head.truths(test)
    if "query" not in truths:
        raise InputRefused(
            "GateInput",
            "gate.metric: the DistilledModel's gate asks for ndcg, which ranks the texts of a query; name the column of"
            " queries in dataset.columns.query",
        )
    gold = truths["gold"]
    try:
        items = items_of(METRICS["ndcg"], recorded(head, test, range(len(test)), {"teacher": gold, "student": gold}))
    except GateError as error:
        raise InputRefused("GateInput", f"dataset.test: {error}") from error
    if gate.slices:
        if items.slices is None:
            raise InputRefused("GateInput", SLICES_MISSING)
        check_sizes(Counter(items.slices.tolist()), gate.slices.min_items)
