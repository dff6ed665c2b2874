"""The preflight stage alone, for a plan: what only reading every row and loading the teacher can tell."""

import time
from pathlib import Path

from distillery_api.distillationjob import DistillationJobSpec
from distillery_api.distillationjob_status import Artifacts
from distillery_api.distilledmodel import DistilledModelSpec
from distillery_api.run import JobRef
from distillery_api.summary import PreflightResult, parse
from distillery_operator.resolve import resolve
from distillery_operator.stage_manifests import build_run

from ..errors import Refused
from ..request import Request
from .api_server import now
from .local_run import TICK
from .worker import start_worker

PLANNED = "planned"  # in place of a uid: preflight writes nothing that has one in its name


def run_preflight(request: Request, folder: Path, cpus: int) -> PreflightResult:
    """Run it as a process; `folder` is where it works. Raises Refused with its own words where it fails."""
    spec = DistillationJobSpec.model_validate(request.job["spec"])
    model = DistilledModelSpec.model_validate(request.model["spec"]) if request.model else None
    metadata = request.job["metadata"]
    job = JobRef(namespace=metadata["namespace"], name=metadata["name"], uid=PLANNED)
    run = build_run("preflight", 1, job, spec, resolve(spec, model, request.settings), Artifacts(), None)
    worker = start_worker(run.model_dump_json(by_alias=True, exclude_none=True), 0, folder / "preflight", cpus, now())
    while (code := worker.exit_code) is None:
        time.sleep(TICK)
    summary = parse(worker.message())
    if summary is not None and summary.preflight is not None:
        return summary.preflight
    if summary is not None and summary.failure is not None:
        raise Refused(f"preflight: {summary.failure.reason}: {summary.failure.message}")
    raise Refused(f"preflight: ended with exit code {code}: {worker.message().strip()[-500:]}")
