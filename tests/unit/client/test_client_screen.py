"""What a run shows: a bar that is redrawn on a terminal, and lines at steps that are worth one elsewhere."""

import io
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from distillery.local.worker import Worker
from distillery.screen import Screen, bar, counts, duration
from distillery_api.distillationjob_status import Artifacts, DistillationJobStatus, Progress, StageStatus


class Terminal(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        return True


def training(done: int, state: str = "Running", **fields: Any) -> DistillationJobStatus:
    """A job in training."""
    progress = Progress(done=done, total=200, unit="steps", rate_per_second=12.34, eta_seconds=95)
    stage = StageStatus.model_validate({"name": "train", "state": state, "progress": progress, **fields})
    rows = {"train": 40, "missing": 3}
    return DistillationJobStatus(stages=[stage], artifacts=Artifacts(rows=rows, labelled_rows=3, reused_rows=37))


def test_a_terminal_has_one_line_for_the_running_stage() -> None:
    out = Terminal()
    screen = Screen(out)
    screen.show(training(50))
    screen.show(training(51))
    lines = out.getvalue().split("\r\x1b[2K")[1:]
    assert lines[0] == "train      [######..................]  25%  50 of 200 steps, 12.3/s, 1 min 35 s to go"
    assert lines[1].startswith("train      [######")
    screen.say("word")
    assert out.getvalue().endswith("\r\x1b[2Kword\n")


def test_elsewhere_a_line_is_written_at_steps_of_five_percent() -> None:
    out = io.StringIO()
    screen = Screen(out)
    for done in range(0, 21):
        screen.show(training(done))
    assert [line.split()[1] for line in out.getvalue().splitlines()] == ["0", "10", "20"]


def test_a_stage_that_ended_is_told_once_with_its_time() -> None:
    out = io.StringIO()
    screen = Screen(out)
    times = {"started_at": "2026-01-01T00:00:00Z", "finished_at": "2026-01-01T02:05:10Z"}
    for _ in range(2):
        screen.show(training(200, "Failed", message="row 3 is wrong", **times))
    assert out.getvalue() == "train      failed in 2 h 5 min: row 3 is wrong\n"


@pytest.mark.parametrize(
    ("stage", "words"),
    [
        ("preflight", "preflight  done: train 40 rows; 3 without soft labels\n"),
        ("label", "label      done: 3 rows labelled, 37 reused\n"),
    ],
)
def test_a_stage_that_is_done_tells_what_it_made(stage: str, words: str) -> None:
    out = io.StringIO()
    Screen(out).show(training(200, "Done", name=stage))
    assert out.getvalue() == words


def test_stored_rows_that_were_checked_are_told() -> None:
    out, status = io.StringIO(), training(200, "Done", name="label")
    assert status.artifacts is not None
    Screen(out).show(status.model_copy(update={"artifacts": status.artifacts.model_copy(update={"rechecked_rows": 8})}))
    assert out.getvalue() == "label      done: 3 rows labelled, 37 reused, 8 of them checked\n"


def test_preflight_tells_of_answers_that_a_judge_has_yet_to_grade() -> None:
    out, status = io.StringIO(), training(200, "Done", name="preflight")
    rows = {"train": 40, "missing": 0, "ungraded": 7}
    Screen(out).show(status.model_copy(update={"artifacts": Artifacts(rows=rows)}))
    assert out.getvalue() == "preflight  done: train 40 rows; 0 without soft labels, 7 without a grade\n"


def test_what_is_not_counted_yet_is_starting() -> None:
    assert bar(None) == "starting"
    assert bar(Progress(done=0, total=0, unit="steps")) == "starting"
    assert counts(Progress(done=0, total=5, unit="rows")) == "0 of 5 rows"
    assert duration(59.6) == "1 min 0 s"


class Endpoint(BaseHTTPRequestHandler):
    """A worker's progress, then nothing that makes sense."""

    answers = [b'{"stage": "label", "done": 3, "total": 9, "unit": "rows"}', b"<html>"]

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.answers.pop(0))

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


def test_a_worker_s_last_word_stands_when_it_does_not_answer(tmp_path: Path) -> None:
    server = HTTPServer(("127.0.0.1", 0), Endpoint)
    Thread(target=lambda: [server.handle_request() for _ in range(2)], daemon=True).start()
    worker = Worker(0, tmp_path, None, server.server_port, "")  # type: ignore[arg-type]
    for _ in range(2):
        report = worker.report()
        assert report is not None
        assert (report.done, report.total) == (3, 9)
    server.server_close()
    assert worker.report() == report
