"""The worker as a process: summaries, exit codes, progress and threads."""

import errno
import json
import logging
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import micro
import pytest
import torch
from distillery_api import exits
from distillery_api.summary import parse
from distillery_storage import AccessDenied, DigestMismatch, NotFound, Unavailable
from distillery_worker import __main__
from distillery_worker.context import Context, usable_threads
from distillery_worker.errors import EndpointUnavailable, InputRefused, Interrupted, PeerLost
from distillery_worker.json_log import JsonLines
from distillery_worker.progress import Progress, serve
from distillery_worker.runner import explain, outcome, run_stage


@pytest.mark.parametrize(
    ("error", "reason", "code"),
    [
        pytest.param(InputRefused("UnknownLabel", "m"), "UnknownLabel", exits.PERMANENT, id="wrong input"),
        pytest.param(NotFound("m"), "SourceNotFound", exits.PERMANENT, id="nothing at the uri"),
        pytest.param(AccessDenied("m"), "AccessDenied", exits.PERMANENT, id="no right to the uri"),
        pytest.param(DigestMismatch("m"), "DigestMismatch", exits.PERMANENT, id="changed bytes"),
        pytest.param(Unavailable("m"), "StorageUnavailable", exits.RETRY, id="storage away"),
        pytest.param(EndpointUnavailable("m"), "EndpointUnavailable", exits.RETRY, id="teacher's server away"),
        pytest.param(Interrupted("kept"), "Interrupted", exits.STOPPED, id="SIGTERM"),
        pytest.param(PeerLost(RuntimeError("reset")), "PeerLost", exits.RETRY, id="another process is gone"),
        pytest.param(MemoryError(), "OutOfMemory", exits.OUT_OF_MEMORY, id="no memory"),
        pytest.param(torch.OutOfMemoryError(), "OutOfMemory", exits.OUT_OF_MEMORY, id="no GPU memory"),
        pytest.param(OSError(errno.ENOSPC, "full"), "DiskFull", exits.RETRY, id="no disk"),
        pytest.param(KeyError("x"), "InternalError", exits.RETRY, id="a bug"),
    ],
)
def test_an_error_tells_what_to_do_and_whether_another_try_can_help(error: Exception, reason: str, code: int) -> None:
    assert (explain(error)[0], explain(error)[2]) == (reason, code)


def test_a_failure_of_any_length_fits_the_summary() -> None:
    def fail() -> None:
        raise InputRefused("DataUnreadable", "é" * 5000)

    summary, code = outcome("train", fail)
    assert code == exits.PERMANENT
    assert parse(summary.message()) is not None


def test_a_stage_leaves_its_summary(source: Path, storage: Path, tmp_path: Path, context: Context) -> None:
    (tmp_path / "run.json").write_text(micro.make_run("preflight", source, storage).model_dump_json(by_alias=True))
    assert run_stage(tmp_path / "run.json", tmp_path / "message", context) == exits.DONE
    summary = parse((tmp_path / "message").read_text())
    assert summary is not None
    assert summary.preflight is not None
    assert summary.preflight.missing_rows == 140


def test_a_run_that_cannot_be_read_is_permanent(tmp_path: Path, context: Context) -> None:
    (tmp_path / "run.json").write_text('{"stage": "label"}')
    assert run_stage(tmp_path / "run.json", tmp_path / "message", context) == exits.PERMANENT


def test_the_entry_point_fails_clearly_where_the_data_is_not(
    source: Path, storage: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(__main__, "log_to_stderr", lambda: None)  # it takes the root logger over for good
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    run = micro.make_run("preflight", source, storage, teachers=[{"model": {"uri": f"file://{tmp_path}/nothing"}}])
    (tmp_path / "run.json").write_text(run.model_dump_json(by_alias=True))
    paths = {"--run": "run.json", "--termination-log": "message", "--workdir": "work"}
    arguments = [word for flag, name in paths.items() for word in (flag, str(tmp_path / name))]
    assert __main__.main([*arguments, "--progress-port", "0"]) == exits.PERMANENT
    summary = parse((tmp_path / "message").read_text())
    assert summary is not None
    assert summary.failure is not None
    assert summary.failure.reason == "SourceNotFound"


def fetch(port: int, path: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
        return str(answer.read().decode())


@pytest.mark.parametrize(("text", "named"), [('{"uri":"hf://org/name@main"}', True), ('{"uri":"s3://b/hf"}', False)])
def test_only_a_run_with_a_model_of_a_hub_may_ask_one(tmp_path: Path, text: str, named: bool) -> None:
    (tmp_path / "run.json").write_text(text)
    assert __main__.names_the_hub(tmp_path / "run.json") is named
    assert not __main__.names_the_hub(tmp_path / "none.json")


def test_progress_is_served_as_json_and_to_prometheus() -> None:
    progress = Progress("label")
    server = serve(progress, 0)
    assert server is not None
    progress.start(100, "rows")
    progress.resume(40)
    progress.advance(10)
    report = json.loads(fetch(server.server_port, "/progress"))
    assert (report["stage"], report["done"], report["total"], report["unit"]) == ("label", 50, 100, "rows")
    assert report["ratePerSecond"] > 0
    assert 'distillery_stage_done{stage="label",unit="rows"} 50.0' in fetch(server.server_port, "/metrics")
    busy = serve(progress, server.server_port)
    assert busy is None  # a second local run goes on without
    server.shutdown()
    server.server_close()


def test_rate_and_eta_are_unknown_before_the_first_unit() -> None:
    progress = Progress("train")
    progress.start(10, "steps")
    progress.resume(5)
    assert progress.report().rate_per_second is None
    assert progress.report().eta_seconds is None


@pytest.mark.parametrize(
    ("quota", "wanted", "threads"),
    [
        pytest.param("max 100000", None, 4, id="no quota"),
        pytest.param("150000 100000", None, 2, id="a quota of 1.5 CPUs"),
        pytest.param("50000 100000", None, 1, id="half a CPU"),
        pytest.param("max 100000", "3", 3, id="OMP_NUM_THREADS wins"),
    ],
)
def test_threads_follow_the_container(
    quota: str, wanted: str | None, threads: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpu.max").write_text(quota + "\n")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(4))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if wanted:
        monkeypatch.setenv("OMP_NUM_THREADS", wanted)
    assert usable_threads(tmp_path / "cpu.max") == threads


def test_a_log_line_is_json_with_its_extra_fields() -> None:
    record = logging.makeLogRecord({"name": "n", "levelname": "INFO", "msg": "stage ends", "exit": 0})
    line = json.loads(JsonLines().format(record))
    assert (line["message"], line["exit"], line["level"]) == ("stage ends", 0, "info")


STOPPED_AS_IT_LOADS = """
import os, signal, sys

class Finder:
    def find_spec(self, name, *_):
        if name == "distillery_worker.runner":
            os.kill(os.getpid(), signal.SIGTERM)

sys.meta_path.insert(0, Finder())
from distillery_worker.__main__ import main
sys.exit(main(["--run", "/nowhere/run.json", "--progress-port", "0"]))
"""


def test_a_stop_that_comes_while_the_stage_still_loads_is_left_to_the_stage() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    result = subprocess.run(
        [sys.executable, "-c", STOPPED_AS_IT_LOADS], env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == exits.PERMANENT, result.stderr
    assert "run.json cannot be read" in result.stderr
