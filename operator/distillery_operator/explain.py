"""`python -m distillery_operator explain KIND NAMESPACE NAME`: what the operator would do next, and why. Only reads."""

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from distillery_api.schema import Failure

from .cluster import ApiError, Cluster
from .explanation import Explanation, explained, text, untouched
from .job_pass import Words
from .names import CHILDREN, JOB, MODEL, OWNER_UID, Kind
from .planning import plan_object
from .plans import Apply, Create, Plan
from .reconcile import leaving, managed_elsewhere, name_taken, now, owned_by
from .settings import Settings, load
from .store import Object, Store

KINDS = {"dj": JOB, "distillationjob": JOB, "distillationjobs": JOB,
         "dm": MODEL, "distilledmodel": MODEL, "distilledmodels": MODEL}  # fmt: skip
SETTINGS = Path("/etc/distillery/operator.json")  # where the chart mounts it


def main(arguments: Sequence[str]) -> int:
    """Print; exit 1 when the object cannot be read, 2 for wrong arguments or settings."""
    options = parser().parse_args(arguments)
    try:
        settings = load(options.settings)
    except (OSError, ValueError) as error:
        print(f"settings: {error}", file=sys.stderr)
        return 2
    kind = KINDS[options.kind]
    try:
        found = asyncio.run(explain(kind, options.namespace, options.name, settings, options.kubeconfig))
    except ApiError as error:
        print(f"explain: {error}", file=sys.stderr)
        return 1
    if found is None:
        print(f"explain: no {kind.kind} {options.name} in namespace {options.namespace}", file=sys.stderr)
        return 1
    print(json.dumps(found, indent=2, ensure_ascii=False) if options.json else text(found))
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    root = argparse.ArgumentParser(prog="python -m distillery_operator explain", description=__doc__)
    root.add_argument("kind", type=str.lower, choices=KINDS, metavar="KIND", help="DistillationJob or DistilledModel")
    root.add_argument("namespace", metavar="NAMESPACE")
    root.add_argument("name", metavar="NAME")
    root.add_argument("--json", action="store_true", help="one JSON object")
    root.add_argument("--settings", type=Path, default=SETTINGS, help="the operator's; default: %(default)s")
    root.add_argument("--kubeconfig", help="outside a cluster: which one to read")
    return root


async def explain(
    kind: Kind, namespace: str, name: str, settings: Settings, kubeconfig: str | None
) -> Explanation | None:
    """Read the cluster and plan; None where there is no such object. Raises ApiError."""
    async with Cluster(kubeconfig) as cluster:
        obj = await cluster.get(kind, namespace, name)
        if obj is None:
            return None
        if obj["metadata"].get("deletionTimestamp"):
            return untouched(obj, "it is being deleted", now())
        if managed_elsewhere(obj):
            return untouched(obj, f"spec.managedBy leaves it to {obj['spec']['managedBy']}", now())
        store = await observed(cluster, kind, obj)
        at = now()
        plan = plan_object(kind, obj, store, settings, at, {}, {}, Words())
        taken = await names_taken(cluster, obj, plan)
        if taken:
            plan = plan_object(kind, obj, store, settings, at, {}, taken, Words())
        return explained(obj, plan, at)


async def observed(cluster: Cluster, kind: Kind, obj: Object) -> Store:
    """The object, its children, and the other side of its promotions."""
    store, metadata = Store(), obj["metadata"]
    store.put(kind, obj)
    for child in CHILDREN:
        items, _ = await cluster.list(child, f"{OWNER_UID}={metadata['uid']}", metadata["namespace"])
        for item in items:
            store.put(child, item)
    other = MODEL if kind == JOB else JOB
    items, _ = await cluster.list(other, None, metadata["namespace"])
    for item in items:
        store.put(other, item)
    return store


async def names_taken(cluster: Cluster, obj: Object, plan: Plan) -> dict[str, Failure]:
    """What the operator would find out by trying: children whose names others hold."""
    taken: dict[str, Failure] = {}
    for action in (*plan.actions, *plan.jobs):
        if isinstance(action, Create | Apply):
            metadata = action.body["metadata"]
            held = await cluster.get(action.kind, metadata["namespace"], metadata["name"])
            if held is not None and not owned_by(held, obj) and not leaving(held, obj):
                taken[metadata["name"]] = name_taken(action.kind, metadata["name"])
    return taken
