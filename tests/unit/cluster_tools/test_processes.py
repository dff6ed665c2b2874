"""A recorded process is recognised by more than its id, and only then signalled."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import processes
import pytest
from errors import ClusterError, PortTakenError
from processes import Identity

RECORDED = Identity(pid=41, started=900, boot="boot-a", program="/tools/etcd")


def fake_proc(
    root: Path, *, state: str = "S", started: int = 900, boot: str = "boot-a", command: str = "/tools/etcd"
) -> Path:
    """A /proc with process 41, named with the parentheses and spaces that break naive parsers."""
    (root / "41").mkdir()
    fields = " ".join(["0"] * 18)
    (root / "41/stat").write_text(f"41 (a ) b) {state} {fields} {started} 0 0\n")
    (root / "41/cmdline").write_bytes(command.encode() + b"\0--flag=x\0")
    (root / "sys/kernel/random").mkdir(parents=True)
    (root / "sys/kernel/random/boot_id").write_text(boot + "\n")
    return root


def test_the_very_process_that_was_recorded_is_running(tmp_path: Path) -> None:
    assert processes.is_running(RECORDED, fake_proc(tmp_path))


def test_a_process_behind_the_program_that_enters_the_namespace_is_recognised(tmp_path: Path) -> None:
    proc = fake_proc(tmp_path, command="nsenter\0--net=/run/netns/distillery\0--\0/tools/etcd")
    assert processes.is_running(RECORDED, proc)


@pytest.mark.parametrize(
    "difference",
    [
        pytest.param({"started": 901}, id="a stranger that got the id later"),
        pytest.param({"boot": "boot-b"}, id="a stranger of another boot"),
        pytest.param({"command": "/usr/bin/postgres"}, id="a stranger that runs another program"),
        pytest.param({"command": "/tools/etcdctl"}, id="a stranger whose program only begins alike"),
        pytest.param({"state": "Z"}, id="a zombie"),
    ],
)
def test_a_process_is_not_taken_for_the_recorded_one(tmp_path: Path, difference: dict[str, str]) -> None:
    assert not processes.is_running(RECORDED, fake_proc(tmp_path, **difference))  # type: ignore[arg-type]


def test_a_process_in_the_middle_of_an_exec_shows_no_command_line_and_is_running(tmp_path: Path) -> None:
    fake_proc(tmp_path)
    (tmp_path / "41/cmdline").write_bytes(b"")
    assert processes.is_running(RECORDED, tmp_path)


def test_a_process_that_is_gone_is_not_running(tmp_path: Path) -> None:
    proc = fake_proc(tmp_path)
    assert not processes.is_running(replace(RECORDED, pid=42), proc)


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as child:
        yield child
        child.kill()


def test_a_signal_never_reaches_a_stranger_with_a_recorded_id(sleeper: subprocess.Popen[bytes], tmp_path: Path) -> None:
    there = processes.identify(sleeper.pid, sys.executable, tmp_path / "log")
    processes.send_signal(replace(there, started=there.started - 1), signal.SIGKILL)
    processes.send_signal(replace(there, program="/tools/etcd"), signal.SIGKILL)
    assert sleeper.poll() is None


def test_stop_kills_a_process_that_does_not_listen(tmp_path: Path) -> None:
    code = "import signal as s, time; s.signal(s.SIGTERM, s.SIG_IGN); print(1, flush=True); time.sleep(60)"
    log = tmp_path / "log"
    started = processes.start([sys.executable, "-c", code], program=sys.executable, log=log)
    processes.wait_until("it ignores SIGTERM", lambda: bool(log.read_text()), 10)
    assert os.getsid(started.pid) == started.pid, "it must outlive the shell that started it"
    processes.stop([started], grace_seconds=0.05)
    assert not processes.is_running(started)


@pytest.mark.parametrize(
    ("last_words", "error"),
    [
        ("listen tcp 127.0.0.1:2379: bind: address already in use", PortTakenError),
        ("panic: no space left on device", ClusterError),
    ],
)
def test_a_component_that_ended_is_reported_with_its_last_words(
    tmp_path: Path, last_words: str, error: type[ClusterError]
) -> None:
    (tmp_path / "etcd.log").write_text(f"starting\n{last_words}\n")
    gone = replace(RECORDED, boot="an earlier one")
    with pytest.raises(error, match=f"(?s)etcd ended.*{last_words}") as raised:
        processes.require_running({"etcd": gone}, tmp_path)
    assert type(raised.value) is error


def test_a_wait_ends_with_a_sentence_that_says_for_what() -> None:
    with pytest.raises(ClusterError, match="waited 0 s in vain until the node is Ready"):
        processes.wait_until("the node is Ready", lambda: False, 0)
