"""Fetching the artifact, and what to tell whoever looks at the pod when that fails."""

import logging
import tempfile
from pathlib import Path

from distillery_api import exits
from distillery_api.run import ServeRun
from distillery_api.schema import Failure
from distillery_engine import ArtifactInvalid
from distillery_storage import (
    AccessDenied,
    DigestMismatch,
    NotFound,
    StorageError,
    Unavailable,
    fetch_artifact,
)

from .model import Model

log = logging.getLogger(__name__)

# Most specific first. Every failure ends the process: the kubelet tries again with growing delays.
FAILURES: tuple[tuple[type[Exception], str, int], ...] = (
    (DigestMismatch, "DigestMismatch", exits.PERMANENT),
    (NotFound, "SourceNotFound", exits.PERMANENT),
    (AccessDenied, "AccessDenied", exits.PERMANENT),
    (Unavailable, "StorageUnavailable", exits.RETRY),
    (StorageError, "ArtifactInvalid", exits.PERMANENT),
    (ArtifactInvalid, "ArtifactInvalid", exits.PERMANENT),
    (OSError, "LocalStorageFailed", exits.RETRY),  # /tmp is full or not writable
)


def load_model(run: ServeRun, rows_per_run: int) -> Model:
    """Download the artifact below /tmp, check every digest, load it and run it once."""
    # Once loaded the files are not needed; an emptyDir outlives restarts of its container and would fill up.
    with tempfile.TemporaryDirectory(prefix="artifact-") as folder:
        manifest = fetch_artifact(run.artifact.uri, run.artifact.digest, Path(folder))
        return Model(Path(folder), manifest, rows_per_run)


def describe(error: Exception) -> tuple[Failure, int]:
    """The reason and sentence for an error of `load_model`, and the exit code that goes with it."""
    for kind, reason, code in FAILURES:
        if isinstance(error, kind):
            return Failure(reason=reason, message=str(error)[:1024]), code
    return Failure(reason="LoadFailed", message=f"{type(error).__name__}: {error}"[:1024]), exits.RETRY


def write_termination_message(path: Path, failure: Failure) -> None:
    """Leave the reason where `kubectl describe pod` shows it. Outside a pod there is no such file."""
    if path.exists():
        path.write_text(failure.model_dump_json(by_alias=True))
