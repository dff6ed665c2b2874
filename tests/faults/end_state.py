"""The end of a run, less what differs from run to run: uids, times, and names made of them."""

import difflib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from namespaces import GROUP, VERSION, Namespace
from world import JOBS, MODELS

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
REVISION = re.compile(r"\b[0-9a-f]{10}\b")
State = dict[str, Any]


def end_state(namespace: Namespace, restored: Iterable[Mapping[str, Any]] = ()) -> State:
    """Everything of the namespace that the operator is answerable for. `restored`: objects that had other uids."""
    listing, name = namespace.custom.list_namespaced_custom_object, namespace.name
    parents = {plural: listing(GROUP, VERSION, name, plural)["items"] for plural in (JOBS, MODELS)}
    plain = namespace.core.api_client.sanitize_for_serialization
    children = {
        "jobs": [finished(job) for job in plain(namespace.batch.list_namespaced_job(name).items)],
        "deployments": [described(obj) for obj in plain(namespace.apps.list_namespaced_deployment(name).items)],
        "services": [described(obj) for obj in plain(namespace.core.list_namespaced_service(name).items)],
        "autoscalers": [
            described(obj) for obj in plain(namespace.scaling.list_namespaced_horizontal_pod_autoscaler(name).items)
        ],
    }  # fmt: skip
    everything = {
        plural: {obj["metadata"]["name"]: described(obj) for obj in items} for plural, items in parents.items()
    }
    text = json.dumps(everything | {kind: {obj["name"]: obj for obj in objs} for kind, objs in children.items()})
    for obj in (*(obj for items in parents.values() for obj in items), *restored):
        metadata, kind = obj["metadata"], obj["kind"]
        text = text.replace(metadata["uid"], f"UID of {kind} {metadata['name']}")
        text = text.replace(f"-{metadata['uid'][:8]}-", "-UID8-")
    for pattern, word in ((TIME, "TIME"), (UUID, "UUID"), (REVISION, "REVISION")):
        text = pattern.sub(word, text)
    state: State = json.loads(text.replace(name, "NAMESPACE"))
    return state


def described(obj: Mapping[str, Any]) -> State:
    """What somebody decided about an object, and our own status."""
    metadata = obj["metadata"]
    ours = obj.get("kind") in ("DistillationJob", "DistilledModel")
    annotations = metadata.get("annotations", {})
    return {
        "name": metadata["name"], "labels": metadata.get("labels", {}), "finalizers": metadata.get("finalizers", []),
        "annotations": {k: v for k, v in annotations.items() if "deployment.kubernetes.io" not in k},
        "spec": {k: v for k, v in obj["spec"].items() if not k.startswith("clusterIP")},
        **({"status": obj.get("status", {})} if ours else {}),
    }  # fmt: skip


def finished(job: Mapping[str, Any]) -> State:
    """A stage's Job: which, and how it ended."""
    conditions = job.get("status", {}).get("conditions", ())
    outcome = sorted(c["type"] for c in conditions if c["type"] in ("Complete", "Failed"))
    return {"name": job["metadata"]["name"], "labels": job["metadata"]["labels"], "outcome": outcome}


def without_attempts(state: State) -> State:
    """The state where a stage may have had to run again: numbers of attempts, their Jobs and reports left out."""
    text = json.dumps({kind: value for kind, value in state.items() if kind != "jobs"})
    text = re.sub(r'"attempt": \d+', '"attempt": "ANY"', text)
    text = re.sub(r', "retries": {[^}]*}', "", text)
    text = re.sub(r"-(preflight|label|train|compress|evaluate)-\d+", r"-\1-ANY", text)
    kept: State = json.loads(re.sub(r"(evaluations/[^/]+)/\d+/", r"\1/ANY/", text))
    return kept


def essence(state: State) -> State:
    """What must hold even where finished jobs ran again as new ones."""
    model = state[MODELS]["served"]
    ready = {c["type"]: c["status"] for c in model["status"]["conditions"]}
    return {
        "ended": sorted(name for name, job in state[JOBS].items() if "finishedAt" in job["status"]),
        "serves": model["status"]["active"]["digest"],
        "conditions": {kind: ready[kind] for kind in ("Ready", "Reconciling", "Stalled")},
        "deployments": len(state["deployments"]), "services": sorted(state["services"]),
        "autoscalers": sorted(state["autoscalers"]),
        "selector": state["services"]["served"]["spec"]["selector"],
    }  # fmt: skip


def traces(state: State) -> list[str]:
    """Finalizers and annotations that kopf would leave."""
    found = []
    for plural in (JOBS, MODELS):
        for name, obj in state[plural].items():
            found += [f"{plural}/{name} has the finalizer {word}" for word in obj["finalizers"]]
            found += [f"{plural}/{name} has the annotation {key}" for key in obj["annotations"] if "kopf" in key]
    return found


def difference(wanted: State, found: State) -> list[str]:
    """Lines that differ, where any do."""
    sides = [json.dumps(side, indent=1, sort_keys=True).splitlines() for side in (wanted, found)]
    return list(difflib.unified_diff(*sides, "undisturbed", "this run", lineterm="", n=2))
