"""`distillery run`: the whole job on this machine; the exit code is the verdict."""

import argparse
import importlib.util
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import Refused
from .exits import STOPPED, VERDICTS, WRONG
from .local.local_run import LocalRun
from .request import Request, read_request
from .screen import Screen
from .verdict_table import ending

WORKER = ("distillery_worker", "torch")


def run(options: argparse.Namespace) -> int:
    """0 Pass, 1 Fail, 2 Inconclusive, 3 failed, 130 stopped."""
    request = read_request(options.files, options.name, options.storage, options.defaults)
    require_one_node(request)
    require_worker()
    if options.storage is not None:
        options.storage.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="distillery-"))
    return carry_out(request, folder, Screen(sys.stdout))


def require_one_node(request: Request) -> None:
    """Pods that train together need the network of a cluster. Raises Refused."""
    training = request.job["spec"].get("training") or {}
    if (nodes := training.get("nodes", 1)) > 1:
        processes = nodes * training.get("processesPerNode", 1)
        raise Refused(
            f"spec.training.nodes: {nodes} pods train together on a cluster, and this machine is one node; set it to 1"
            f" and training.processesPerNode to {processes} or less, which makes the same student"
        )


def require_worker() -> None:
    """Stages run in this Python. Raises Refused where it lacks the worker."""
    if missing := [name for name in WORKER if importlib.util.find_spec(name) is None]:
        raise Refused(f"{' and '.join(missing)} cannot be imported, which run the stages; install distillery[worker]")


def carry_out(request: Request, folder: Path, screen: Screen) -> int:
    """Run, and say how it ended."""
    storage = request.job["spec"]["storage"]["uri"]
    screen.say(f"{request.job['metadata']['name']}: storage {storage}, logs {folder}")
    local = LocalRun(request, folder, len(os.sched_getaffinity(0)), screen)
    with stoppable(local):
        status = local.run()
    if status.finished_at is None:
        screen.say(f"Stopped. What it made is kept in {storage}: the same command goes on from there.")
        return STOPPED
    screen.say(ending(status))
    failed = any(stage.state == "Failed" for stage in status.stages)
    return VERDICTS[status.verdict.result] if status.verdict and not failed else WRONG


@contextmanager
def stoppable(local: LocalRun) -> Iterator[None]:
    """Ctrl-C and SIGTERM stop the run in order. No worker outlives it."""
    before = {number: signal.signal(number, lambda *_: local.stop()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        local.kill()
        for number, handler in before.items():
            signal.signal(number, handler)
