"""What a command is asked to plan or run: one DistillationJob of the given files, its model, and the defaults."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from distillery_api.distillationjob import OUR_CONTROLLER
from distillery_operator.settings import Settings, load
from distillery_operator.store import Object

from .admission import Manifest, admitted, read_manifests
from .errors import Refused

HERE = "this machine"  # in place of an image: stages run with the worker that is installed


@dataclass(frozen=True)
class Request:
    """Objects as the API server would store them. `model`: the one that the job promotes to, if the files hold it."""

    job: Object
    model: Object | None
    settings: Settings


def read_request(files: Sequence[str], name: str | None, storage: Path | None, defaults: Path | None) -> Request:
    """Read and check everything. `storage`: a folder in place of spec.storage.uri. Raises Refused."""
    manifests = read_manifests(files)
    job = admitted(chosen([each for each in manifests if each.kind == "DistillationJob"], name))
    if storage is not None:
        job["spec"]["storage"] = {"uri": f"file://{storage.absolute()}"}
    check_runnable(job)
    return Request(job, model_of(job, manifests), read_settings(defaults))


def chosen(jobs: list[Manifest], name: str | None) -> Manifest:
    """The only job, or the one of that name."""
    names = [str((job.body.get("metadata") or {}).get("name")) for job in jobs]
    found = [job for job, each in zip(jobs, names, strict=True) if name in (None, each)]
    if len(found) == 1:
        return found[0]
    if not jobs:
        raise Refused("-f: the files hold no DistillationJob; name one that does")
    listed = ", ".join(names)
    raise Refused(f"--name: {len(found)} of the DistillationJobs in the files fit; name one of {listed}")


def check_runnable(job: Object) -> None:
    """Switches that would keep an operator from running it."""
    if job["spec"].get("suspend"):
        raise Refused("spec.suspend: is true, so nothing would run; set it to false")
    if (controller := job["spec"].get("managedBy", OUR_CONTROLLER)) != OUR_CONTROLLER:
        raise Refused(f"spec.managedBy: leaves the job to {controller}; take it out to run the job here")


def model_of(job: Object, manifests: list[Manifest]) -> Object | None:
    """The DistilledModel that the job promotes to, with its status where the file has one: what serves is in it."""
    target = (job["spec"].get("promoteTo") or {}).get("name")
    for manifest in manifests:
        if manifest.kind == "DistilledModel":
            model = admitted(manifest)
            place = (model["metadata"]["namespace"], model["metadata"]["name"])
            if place == (job["metadata"]["namespace"], target):
                return {**model, "status": manifest.body.get("status") or {}}
    return None


def read_settings(defaults: Path | None) -> Settings:
    """The chart's defaults, as the operator reads them; without a file, its own."""
    if defaults is None:
        return Settings(worker_image=HERE, server_image=HERE)
    try:
        return load(defaults)
    except (OSError, ValueError) as error:
        raise Refused(f"--defaults {defaults}: {error}") from error
