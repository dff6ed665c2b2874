"""Structured logs: one JSON object a line, on stderr; lines about an object name it, its generation and its stage."""

import contextlib
import json
import logging
import sys
import time
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

from .names import JOB
from .store import Object

# What every record carries; anything else was given by `extra=` and is printed.
STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {
    "message",
    "asctime",
    "taskName",
    "k8s_ref",
    "k8s_skip",
    "settings",
}
# Per asyncio task: workers log at the same time, about different objects.
SUBJECT: ContextVar[dict[str, Any]] = ContextVar("subject")


@contextlib.contextmanager
def about(obj: Object | None) -> Iterator[None]:
    """Every line logged inside names the object, if there is one."""
    token = SUBJECT.set(reference(obj) if obj else {})
    try:
        yield
    finally:
        SUBJECT.reset(token)


def reference(obj: Object) -> dict[str, Any]:
    """Log fields of a DistillationJob or DistilledModel; a job that runs also has a stage."""
    metadata = obj["metadata"]
    fields = {
        "object": {
            "kind": obj["kind"], "namespace": metadata["namespace"], "name": metadata["name"], "uid": metadata["uid"],
        },
        "generation": metadata["generation"],
    }  # fmt: skip
    stage = stage_of(obj)
    return {**fields, "stage": stage} if stage else fields


def stage_of(obj: Object) -> str | None:
    """The first stage that is not over, or the one that failed; None for models and jobs that passed."""
    if obj["kind"] != JOB.kind:
        return None
    stages = obj.get("status", {}).get("stages", ())
    return next((stage["name"] for stage in stages if stage["state"] not in ("Done", "Skipped")), None)


class JsonFormatter(logging.Formatter):
    """time, level, logger, message, the object that the line is about, and the record's own fields."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z"
        line = {
            "time": stamp,
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **SUBJECT.get({}),
        }
        line |= {name: value for name, value in record.__dict__.items() if name not in STANDARD}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


def configure(level: str) -> None:
    """Send all logs to stderr as JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # kopf says at INFO what each of its own tasks does.
    logging.getLogger("kopf").setLevel(max(logging.WARNING, logging.getLevelName(level)))
