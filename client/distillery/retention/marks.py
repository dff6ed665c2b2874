"""What the cluster's objects need of a storage prefix. Pure: objects in, names of folders and digests out."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distillery_api.distilledmodel import DistilledModelStatus
from distillery_operator.offers import decided_before
from distillery_operator.store import Object
from distillery_operator.views import promotes_to
from pydantic import ValidationError

from ..errors import Refused

HEX = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Marks:
    """Digests are hex, 64 digits: keys of folders, or of an artifact's manifest."""

    live: frozenset[str]  # named by jobs that have not ended: they read and write these
    kept: frozenset[str]  # named by models, and by passed jobs that a model may yet take
    jobs: frozenset[str]  # uids of all jobs, and every uid that a model names
    open_ended: bool  # a live job has not said yet what it reuses: it may be anything
    used: bool  # some object names this prefix


def read_state(file: str, text: str) -> list[Object]:
    """DistillationJobs and DistilledModels of `kubectl get dj,dm -A -o json`. Raises Refused."""
    try:
        state = json.loads(text)
    except ValueError as error:
        raise Refused(f"--state {file}: is no JSON ({error}); write kubectl get dj,dm -A -o json into it") from error
    if not isinstance(state, dict) or not isinstance(state.get("items"), list):
        raise Refused(f"--state {file}: is no list; write kubectl get dj,dm -A -o json into it")
    return [item for item in state["items"] if item.get("kind") in ("DistillationJob", "DistilledModel")]


def marks_of(objects: Sequence[Object], uri: str) -> Marks:
    """What the objects need of the prefix `uri`."""
    jobs = [each for each in objects if each["kind"] == "DistillationJob"]
    models = [each for each in objects if each["kind"] == "DistilledModel"]
    live = [job for job in jobs if not job.get("status", {}).get("finishedAt")]
    kept = [*models, *(job for job in jobs if may_be_promoted(job, models))]
    here = [job for job in jobs if job["spec"].get("storage", {}).get("uri", "").rstrip("/") == uri]
    below = any(f"{uri}/" in text for each in objects for text in texts(each))
    return Marks(
        live=digests(live),
        kept=digests(kept),
        jobs=frozenset([*(job["metadata"]["uid"] for job in jobs), *(text for each in models for text in texts(each))]),
        open_ended=any("studentKey" not in job.get("status", {}).get("artifacts", {}) for job in here if job in live),
        used=bool(here) or below,
    )


def may_be_promoted(job: Object, models: Sequence[Object]) -> bool:
    """Whether a job passed and no model has decided on it: its student is what it was run for."""
    status = job.get("status", {})
    if (status.get("verdict") or {}).get("result") != "Pass":
        return False
    target = promotes_to(job)
    model = next((each for each in models if place(each) == target), None)
    return model is None or not decided(job, model)


def decided(job: Object, model: Object) -> bool:
    """Whether the model's history tells what became of the job, or has forgotten it since."""
    try:
        history = DistilledModelStatus.model_validate(model.get("status", {})).history
    except ValidationError:  # of another version: what it holds is kept all the same
        return False
    uids = {entry.job_uid for entry in history}
    return job["metadata"]["uid"] in uids or job["status"].get("finishedAt", "") < decided_before(history)


def place(obj: Object) -> tuple[str, str]:
    """Namespace and name."""
    return obj["metadata"]["namespace"], obj["metadata"]["name"]


def digests(objects: Sequence[Object]) -> frozenset[str]:
    """Every SHA-256 that stands anywhere in the objects: in a digest, a key or an address."""
    return frozenset(digest for each in objects for text in texts(each) for digest in HEX.findall(text))


def texts(value: Any) -> Iterator[str]:
    """Every text in it, at any depth. An annotation may hold JSON, which is text here as well."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)


def read_text(file: str, standard_input: Any) -> str:
    """The text of a file, or of standard input for `-`. Raises Refused."""
    try:
        return str(standard_input.read()) if file == "-" else Path(file).read_text()
    except OSError as error:
        raise Refused(f"--state {file}: {error}") from error
