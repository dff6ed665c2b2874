"""Runs one stage and turns whatever happens into a summary and an exit code."""

import errno
import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers
from distillery_api import exits
from distillery_api.run import RUN
from distillery_api.schema import Failure
from distillery_api.summary import Summary
from distillery_engine import ArtifactInvalid
from distillery_storage import AccessDenied, Conflict, DigestMismatch, NotFound, StorageError, Unavailable

from .context import Context
from .errors import EndpointUnavailable, InputRefused, Interrupted, PeerLost
from .stages.compress import compress
from .stages.evaluate import evaluate
from .stages.label import label
from .stages.preflight import preflight
from .stages.train import train

log = logging.getLogger(__name__)

STAGES: dict[str, Callable[..., Any]] = {
    "preflight": preflight,
    "label": label,
    "train": train,
    "compress": compress,
    "evaluate": evaluate,
}
STORAGE_REASONS = {
    NotFound: "SourceNotFound",
    AccessDenied: "AccessDenied",
    DigestMismatch: "DigestMismatch",
    Conflict: "ArtifactMismatch",
}
MESSAGE_LIMIT = 1024


def run_stage(run_file: Path, termination_log: Path, context: Context) -> int:
    """Run the stage in the file, write its Summary, and give the exit code."""
    try:
        stage = json.loads(run_file.read_text())["stage"]
        run = RUN.validate_json(run_file.read_text())
    except (OSError, ValueError, KeyError, TypeError) as error:
        # Without a stage there is no summary to write.
        log.exception("run.json cannot be read", extra={"path": str(run_file), "error": str(error)})
        return exits.PERMANENT
    context.progress.stage = stage
    configure_libraries(context.threads)
    began = time.monotonic()
    about = {"stage": stage, "job": run.job.name, "attempt": run.attempt, "threads": context.threads}
    log.info("stage begins", extra=about)
    summary, code = outcome(stage, lambda: STAGES[stage](run, context))
    write_summary(termination_log, summary)
    log.info("stage ends", extra={"stage": stage, "exit": code, "seconds": round(time.monotonic() - began, 3)})
    return code


def outcome(stage: str, work: Callable[[], Any]) -> tuple[Summary, int]:
    """The summary and exit code of whatever `work` does."""
    try:
        return Summary.model_validate({"stage": stage, stage: work()}), exits.DONE
    except Exception as error:
        reason, message, code = explain(error)
        if reason == "InternalError":
            log.exception("the stage failed unexpectedly")
        else:
            log.error(message, extra={"reason": reason})
        failure = Failure(reason=reason, message=message[:MESSAGE_LIMIT])
        return Summary.model_validate({"stage": stage, "failure": failure}), code


def explain(error: Exception) -> tuple[str, str, int]:
    """Reason, message and exit code. What another try might mend is RETRY, what only the user can is PERMANENT."""
    match error:
        case Interrupted():
            return error.reason, error.message, exits.STOPPED
        case PeerLost():
            return error.reason, error.message, exits.RETRY
        case InputRefused():
            return error.reason, error.message, exits.PERMANENT
        case EndpointUnavailable():
            return error.reason, error.message, exits.RETRY
        case Unavailable():
            return "StorageUnavailable", str(error), exits.RETRY
        case StorageError():
            return STORAGE_REASONS.get(type(error), "StorageRefused"), str(error), exits.PERMANENT
        case ArtifactInvalid():
            return "ArtifactMismatch", str(error), exits.PERMANENT
        case MemoryError():
            return "OutOfMemory", "out of memory; raise stages.<stage>.resources.limits.memory", exits.OUT_OF_MEMORY
        case torch.OutOfMemoryError():
            return "OutOfMemory", "the GPU is out of memory; lower training.batchSize", exits.OUT_OF_MEMORY
        case OSError(errno=errno.ENOSPC):
            return "DiskFull", "the stage's scratch disk is full; give its node or volume more space", exits.RETRY
        case _:
            return "InternalError", f"{type(error).__name__}: {error}", exits.RETRY


def configure_libraries(threads: int) -> None:
    """Threads for torch, and nothing on stderr but our own lines."""
    torch.set_num_threads(threads)
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()


def write_summary(path: Path, summary: Summary) -> None:
    """The termination message; a place that cannot be written is logged, and the operator runs the stage again."""
    try:
        path.write_text(summary.message())
    except OSError as error:
        log.error("the termination message cannot be written", extra={"path": str(path), "error": str(error)})
