"""What the operator would do next for an object, and why, as data and as text. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from .names import ATTEMPT, STAGE
from .plans import Action, Create, Delete, Merge, Plan
from .store import Object

Explanation = dict[str, Any]


def explained(obj: Object, plan: Plan, now: str, left_alone: str | None = None) -> Explanation:
    """The plan of one pass over the object, made for the time `now`; `left_alone` says why there is none."""
    metadata = obj["metadata"]
    return {
        "kind": obj["kind"], "namespace": metadata["namespace"], "name": metadata["name"],
        "generation": metadata["generation"], "at": now, "leftAlone": left_alone,
        "actions": [described(action) for action in plan.actions],
        "jobs": [described(job) for job in plan.jobs],
        "statusChanges": list(changes(obj.get("status", {}), plan.status)),
        "events": [{"type": note.type, "reason": note.reason, "message": note.message} for note in plan.notes],
        "nextLookSeconds": plan.requeue_after,
        "why": reasons(plan.status),
    }  # fmt: skip


def untouched(obj: Object, why: str, now: str) -> Explanation:
    """The operator does nothing for the object."""
    return explained(obj, Plan(status=obj.get("status", {})), now, why)


def described(action: Action) -> dict[str, Any]:
    """A write: verb, kind and name; the stage of a Job; the fields of a patch."""
    verb = type(action).__name__.lower()
    if isinstance(action, Delete):
        return {"verb": verb, "kind": action.kind.kind, "name": action.name}
    if isinstance(action, Merge):
        return {"verb": verb, "kind": action.kind.kind, "name": action.name, "fields": action.body}
    labels = action.body["metadata"]["labels"]
    found = {"verb": verb, "kind": action.kind.kind, "name": action.body["metadata"]["name"]}
    if isinstance(action, Create) and STAGE in labels:
        found |= {"stage": labels[STAGE], "attempt": int(labels[ATTEMPT])}
    return found


def changes(before: Any, after: Any, path: str = "") -> Iterator[dict[str, Any]]:
    """Fields of the status that the write would change; times of conditions follow from the rest."""
    if before == after or path.endswith("lastTransitionTime"):
        return
    before, after = by_name(before), by_name(after)
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in dict.fromkeys([*before, *after]):
            yield from changes(before.get(name), after.get(name), f"{path}.{name}" if path else name)
    else:
        yield {"field": path, "from": before, "to": after}


def by_name(value: Any) -> Any:
    """A list of named entries as a mapping, so that its entries are compared with their own former selves."""
    if isinstance(value, list) and value and isinstance(value[0], Mapping):
        key = next((key for key in ("type", "name") if key in value[0]), None)
        return {entry[key]: entry for entry in value} if key else value
    return value


def reasons(status: Mapping[str, Any]) -> list[dict[str, str]]:
    """Conditions that say something, each sentence once."""
    said: dict[str, dict[str, str]] = {}
    for condition in status.get("conditions", ()):
        if condition.get("message"):
            fields = {field: condition[field] for field in ("type", "status", "reason", "message")}
            said.setdefault(condition["message"], fields)
    return list(said.values())


def text(explanation: Explanation) -> str:
    """For people."""
    head = "{kind} {namespace}/{name}, generation {generation}, at {at}".format(**explanation)
    if explanation["leftAlone"]:
        return f"{head}\nThe operator leaves it alone: {explanation['leftAlone']}."
    why = ["{type}={status} {reason}: {message}".format(**reason) for reason in explanation["why"]]
    seconds = explanation["nextLookSeconds"]
    later = f"in {seconds:.0f} s, or " if seconds is not None else ""
    return "\n".join(
        [head, "Next:", *indented(steps(explanation) or ["nothing"]), "Why:", *indented(why or ["no condition yet"]),
         f"It looks again {later}when the object or a child of it changes."]
    )  # fmt: skip


def steps(explanation: Explanation) -> list[str]:
    """Everything that the pass would write, in order."""
    found = [*map(step, explanation["actions"])]
    found += [
        f"write status.{c['field']}: {shown(c['from'])} -> {shown(c['to'])}" for c in explanation["statusChanges"]
    ]
    found += ["post the {type} event {reason}: {message}".format(**event) for event in explanation["events"]]
    return [*found, *map(step, explanation["jobs"])]


def step(action: Mapping[str, Any]) -> str:
    """One write in words."""
    words = f"{action['verb']} {action['kind']} {action['name']}"
    if "stage" in action:
        return f"{words}, attempt {action['attempt']} of the {action['stage']} stage"
    return f"{words}: {shown(action['fields'])}" if "fields" in action else words


def shown(value: Any) -> str:
    """A value on one line, cut where it is long."""
    line = "none" if value is None else str(value)
    return line if len(line) <= 100 else f"{line[:99]}…"


def indented(lines: list[str]) -> list[str]:
    """Below a heading."""
    return [f"  {line}" for line in lines]
