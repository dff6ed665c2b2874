"""Starts long-lived processes, remembers who they are, and stops only those.

A process id alone names nobody: after a crash it may belong to a stranger. Every signal is therefore sent
only after the process's start time, boot and command line agree with what was recorded.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from errors import ClusterError, PortTakenError

PROC = Path("/proc")
LOG_TAIL_LINES = 15
POLL_SECONDS = 0.05
# Not the caller's environment: proxies, Go or AWS settings of a shell must not change a component.
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Identity:
    """Who a process is: `started` is its start time in clock ticks since the boot `boot`."""

    pid: int
    started: int
    boot: str
    program: str


def identify(pid: int, program: str, log: Path, proc: Path = PROC) -> Identity:
    started = start_time(pid, proc)
    if started is None:
        raise ClusterError(f"{program} ended at once; the last lines of {log}:\n{log_tail(log)}")
    return Identity(pid, started, boot_id(proc), program)


def boot_id(proc: Path = PROC) -> str:
    return (proc / "sys/kernel/random/boot_id").read_text().strip()


def start_time(pid: int, proc: Path = PROC) -> int | None:
    """The start time in clock ticks since boot, or None for a process that is gone or a zombie."""
    try:
        text = (proc / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The command name stands in parentheses and may hold spaces and parentheses itself.
    fields = text[text.rindex(")") + 1 :].split()
    state, started = fields[0], int(fields[19])
    return None if state in "ZX" else started


def is_running(process: Identity, proc: Path = PROC) -> bool:
    """Whether this very process runs, not another one that has its id now."""
    if start_time(process.pid, proc) != process.started or boot_id(proc) != process.boot:
        return False
    try:
        command = (proc / str(process.pid) / "cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False
    # While a process replaces its program by another (exec), the kernel shows no command line for a moment.
    return not command or process.program.encode() in command.split(b"\0")


def send_signal(process: Identity, number: signal.Signals) -> None:
    """Signal this very process; nothing happens if it is gone."""
    with suppress(ProcessLookupError):
        handle = os.pidfd_open(process.pid)  # from here on the id cannot pass to another process
        try:
            if is_running(process):
                signal.pidfd_send_signal(handle, number)
        finally:
            os.close(handle)


def stop(processes: Iterable[Identity], grace_seconds: float) -> None:
    """Ask all to end, then kill those that have not within the grace time."""
    processes = list(processes)
    for process in processes:
        send_signal(process, signal.SIGTERM)
    deadline = time.monotonic() + grace_seconds
    while time.monotonic() < deadline and any(map(is_running, processes)):
        time.sleep(POLL_SECONDS)
    for process in processes:
        send_signal(process, signal.SIGKILL)
    wait_until("killed processes are gone", lambda: not any(map(is_running, processes)), 10)
    for process in processes:
        with suppress(ChildProcessError):  # not our child where another run started it
            os.waitpid(process.pid, os.WNOHANG)


def start(command: Sequence[str], *, program: str, log: Path, prefix: Sequence[str] = ()) -> Identity:
    """Start a process in a session of its own, so that it outlives the shell and its signals."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        child = subprocess.Popen(
            [*prefix, *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={"PATH": SYSTEM_PATH},
            cwd="/",
        )
    identity = identify(child.pid, program, log)
    child.returncode = 0  # it is meant to outlive this object, which must not warn about that
    return identity


def log_tail(log: Path, lines: int = LOG_TAIL_LINES) -> str:
    try:
        text = log.read_text(errors="replace")
    except FileNotFoundError:
        return "(no log)"
    return "\n".join(f"    {line[:400]}" for line in text.splitlines()[-lines:])


def require_running(processes: Mapping[str, Identity], logs: Path) -> None:
    """Raise with the log's last lines if one of the processes has ended."""
    for name, process in processes.items():
        if not is_running(process):
            log = logs / f"{name}.log"
            tail = log_tail(log)
            kind = PortTakenError if "address already in use" in tail else ClusterError
            raise kind(f"{name} ended; the last lines of {log}:\n{tail}")


def no_check() -> None:
    """The check of a wait that can only end in success or time."""


def wait_until(what: str, condition: Callable[[], bool], seconds: float, check: Callable[[], None] = no_check) -> None:
    """Poll until the condition holds; `check` may raise earlier than the deadline does."""
    deadline = time.monotonic() + seconds
    while not condition():
        check()
        if time.monotonic() > deadline:
            raise ClusterError(f"waited {seconds:.0f} s in vain until {what}")
        time.sleep(POLL_SECONDS)
