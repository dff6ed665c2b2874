"""A verdict, taken again from what its evaluation recorded."""

from typing import TYPE_CHECKING, Any

from distillery_api.digests import digest_of
from distillery_api.gate import asked
from pydantic import ValidationError

from .errors import Refused
from .recorded_report import Recorded

if TYPE_CHECKING:
    from distillery_gate import Verdict


def verdict_again(recorded: Recorded) -> "Verdict":
    """What the items, the costs and the gate of the report give. Raises Refused where they give no verdict."""
    # Here, since scipy takes longer to load than other commands to run.
    from distillery_gate import Gate, GateError, Look, costs_of, decide, items_of

    try:
        items, report = items_of(recorded.metric, recorded.columns), recorded.report
        gate, look = Gate.model_validate(asked(report.gate)), Look.model_validate(report.verdict.look)
        return decide(items, gate, look, costs_of(report.costs))
    except (GateError, ValidationError) as error:
        raise Refused(f"{recorded.place}: no verdict can be taken: {error}") from error


def check_same(recorded: Recorded, found: "Verdict") -> None:
    """The report's verdict is this one, to the last digit, and its gate the one that it names. Raises Refused."""
    report = recorded.report
    if (gate := digest_of(report.gate)) != report.gate_hash:
        raise Refused(
            f"{recorded.place}: the hash of its gate is {gate}, and gateHash says {report.gate_hash}: one of them was"
            " changed"
        )
    again: dict[str, Any] = found.model_dump(mode="json", exclude_none=True) | {"measured": measured(found)}
    given = report.verdict.model_dump() | {"measured": [told(each) for each in report.measured]}
    if differing := sorted(name for name in again.keys() | given.keys() if again.get(name) != given.get(name)):
        raise Refused(
            f"{recorded.place}: its items and gate give another verdict than it holds, in {', '.join(differing)}: the"
            " report was changed, or another version of distillery_gate wrote it"
        )


def measured(found: "Verdict") -> list[dict[str, Any]]:
    """The models as a report lists them once more, beside their size and speed."""
    return [told(each.model_dump() | {"items": each.n}) for each in found.measurements]


def told(model: dict[str, Any]) -> dict[str, Any]:
    """What of a listed model the items tell."""
    return {name: model.get(name) for name in ("name", "metric", "value", "low", "high", "items")}
