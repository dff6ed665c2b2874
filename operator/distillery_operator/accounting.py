"""What a status says for the first time, counted in metrics."""

from collections.abc import Mapping
from typing import Any

from .metrics import DECISIONS, GPU_SECONDS, STAGE_SECONDS, STAGES, VERDICTS
from .plans import seconds_between

Status = Mapping[str, Any]


def account(namespace: str, before: Status, after: Status) -> None:
    """Count what the status `after` has and `before` has not."""
    held = {stage["name"]: stage for stage in before.get("stages", ())}
    for stage in after.get("stages", ()):
        account_stage(namespace, held.get(stage["name"], {}), stage)
    if after.get("verdict") and after["verdict"] != before.get("verdict"):
        VERDICTS.labels(namespace, after["verdict"]["result"]).inc()
    known = {(entry["jobUid"], entry["outcome"]) for entry in before.get("history", ())}
    for entry in after.get("history", ()):
        if (entry["jobUid"], entry["outcome"]) not in known:
            DECISIONS.labels(namespace, entry["outcome"], entry["reason"]).inc()


def account_stage(namespace: str, before: Status, after: Status) -> None:
    """Count one stage: its end, its duration and its GPUs."""
    name, state = after["name"], after["state"]
    used = after.get("gpuSeconds", 0) - before.get("gpuSeconds", 0)
    if used > 0:
        GPU_SECONDS.labels(namespace, name).inc(used)
    if state not in ("Done", "Skipped", "Failed") or state == before.get("state"):
        return
    STAGES.labels(namespace, name, state).inc()
    if after.get("startedAt") and after.get("finishedAt"):
        STAGE_SECONDS.labels(namespace, name, state).observe(seconds_between(after["startedAt"], after["finishedAt"]))
