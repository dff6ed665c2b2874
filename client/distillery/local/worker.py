"""A pod of a stage as a process of this machine: `python -m distillery_worker`."""

import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

from distillery_operator.pod_reports import Report

ANSWER = 4096  # bytes of a progress report
PATIENCE = 0.5  # seconds for a progress report
LOG_TAIL = 2048  # bytes of the log that stand in for a missing termination message, as with the kubelet
MESSAGE, LOG, WORK = "message", "log", "work"


@dataclass
class Worker:
    """One process and the folder that it works in. `index`: its shard."""

    index: int
    folder: Path
    process: subprocess.Popen[bytes]
    port: int
    started_at: str
    last_report: Report | None = field(default=None, init=False)

    @property
    def exit_code(self) -> int | None:
        """None while it runs; killed by a signal: 128 and the signal's number, as containers count."""
        code = self.process.poll()
        return code if code is None or code >= 0 else 128 - code

    def message(self) -> str:
        """What it left as its termination message, or the end of its log where it failed without one."""
        path = self.folder / MESSAGE
        if path.is_file():
            return path.read_text()
        log = (self.folder / LOG).read_bytes()
        return "" if self.exit_code == 0 else log[-LOG_TAIL:].decode(errors="replace")

    def report(self) -> Report | None:
        """How far it is, or was when it last answered: a process that starts, ends or computes may not."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/progress", timeout=PATIENCE) as answer:
                self.last_report = Report.model_validate_json(answer.read(ANSWER))
        except (OSError, ValueError):
            pass
        return self.last_report

    def signal(self, number: signal.Signals) -> None:
        """Send the signal, unless it has ended."""
        if self.process.poll() is None:
            self.process.send_signal(number)


def start_worker(run_json: str, index: int, folder: Path, threads: int, now: str) -> Worker:
    """Start the process. `threads`: for one of all workers that run at once, unless OMP_NUM_THREADS says otherwise."""
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(run_json)
    port = free_port()
    command = [sys.executable, "-m", "distillery_worker", "--run", str(folder / "run.json")]
    command += ["--termination-log", str(folder / MESSAGE), "--workdir", str(folder / WORK)]
    command += ["--progress-port", str(port)]
    environment = {"OMP_NUM_THREADS": str(threads), **os.environ, "JOB_COMPLETION_INDEX": str(index)}
    with (folder / LOG).open("wb") as log:
        # A session of its own: Ctrl-C is for this process alone, which stops its workers in order.
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    return Worker(index, folder, process, port, now)


def free_port() -> int:
    """A port that nobody listens on now. Should it be taken meanwhile, the worker goes on without progress."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
