import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from distillery.local import job_controller, local_run
from stage_ends import success, verdict
from stage_results import RESULTS, job_spec

STUB = Path(__file__).parent / "stub"


@pytest.fixture
def job_file(tmp_path: Path) -> Callable[..., str]:
    """Writes a job and gives the path; changes go into its spec."""

    def write(**changes: Any) -> str:
        path = tmp_path / "job.yaml"
        metadata = {"name": "small"}
        body = {"apiVersion": "distillery.dev/v1alpha1", "kind": "DistillationJob", "metadata": metadata}
        path.write_text(json.dumps({**body, "spec": job_spec(**changes)}))
        return str(path)

    return write


@pytest.fixture
def stages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Makes workers end as told, stage by stage; gives the file with the stages that were started, a line each."""
    script = tmp_path / "script.json"
    monkeypatch.setenv("PYTHONPATH", str(STUB))
    monkeypatch.setenv("SCRIPT", str(script))
    monkeypatch.setattr(local_run, "TICK", 0.01)
    monkeypatch.setattr(job_controller, "BACKOFF", 0.01)

    def told(**ends: list[dict[str, Any]]) -> Path:
        good = {stage: [success(stage)] for stage in RESULTS}
        script.write_text(json.dumps({**good, "evaluate": [verdict()], **ends}))
        return script.with_suffix(".log")

    return told


@pytest.fixture
def child_path() -> list[str]:
    """sys.path with which a child process finds what this one finds."""
    return [path for path in sys.path if path]
