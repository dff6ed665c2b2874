"""The command line runs the stages as they are: from a manifest to a report."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import micro
import micro_language
import pytest
from chat_server import completion, scripted
from distillery.__main__ import main
from distillery.local import local_run, worker
from distillery_api.digests import digest_bytes
from distillery_worker import __main__ as worker_main
from test_judge import by_length, judged


class InThisProcess:
    """In place of a process, which would load torch again for each stage: the worker's main, with its arguments."""

    def __init__(self, command: list[str], env: dict[str, str], **_: Any) -> None:
        os.environ["JOB_COMPLETION_INDEX"] = env["JOB_COMPLETION_INDEX"]
        self.code = worker_main.main(command[3:])

    def poll(self) -> int:
        return self.code


def write_manifest(path: Path, spec: dict[str, Any]) -> None:
    body = {"apiVersion": "distillery.dev/v1alpha1", "kind": "DistillationJob", "metadata": {"name": "animals"}}
    path.write_text(json.dumps({**body, "spec": spec | {"storage": {"uri": "s3://replaced/below"}}}))


def write_job(path: Path, source: Path) -> None:
    files = {name: f"file://{source}/{name}.parquet" for name in ("train", "unlabelled", "test")}
    spec = {
        "task": "text-classification", "teachers": [{"model": {"uri": f"file://{source}/teacher"}}],
        "student": micro.STUDENT, "training": micro.TRAINING, "dataset": files, "gate": {"minRetention": 0.5},
        "softLabels": {"shards": 2},
    }  # fmt: skip
    write_manifest(path, spec)


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker.subprocess, "Popen", InThisProcess)
    monkeypatch.setattr(worker_main, "log_to_stderr", lambda: None)  # it takes the root logger over for good
    monkeypatch.setattr(signal, "signal", lambda *_: signal.SIG_DFL)
    monkeypatch.setattr(local_run, "TICK", 0.0)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("JOB_COMPLETION_INDEX", "")


@pytest.mark.usefixtures("in_this_process")
def test_a_job_runs_to_its_report_and_a_second_one_reuses_labels_and_student(
    source: Path, storage: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_job(tmp_path / "job.yaml", source)
    command = ["run", "-f", str(tmp_path / "job.yaml"), "--storage", str(storage)]
    assert main(command) == 0
    shown = capsys.readouterr().out
    assert "140 rows labelled, 0 reused" in shown
    report = json.loads(Path(shown.rsplit("file://", 1)[1].strip()).read_text())
    assert report["verdict"]["verdict"] == "Pass"
    assert main(command) == 0
    shown = capsys.readouterr().out
    assert "every row already has soft labels of this teacher; 8 were labelled again and agree" in shown
    assert len(list(storage.glob("students/*/attempts/*"))) == 1


@pytest.mark.usefixtures("in_this_process")
def test_a_judged_run_without_a_cluster_ends_in_a_report_that_counts_what_the_judge_dropped(
    writing_source: Path, storage: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with scripted(by_length) as server:
        spec = {
            "task": "causal-lm", "teachers": [{"model": {"uri": f"file://{writing_source}/teacher"}}],
            "student": {"config": micro_language.CONFIG}, "training": micro_language.TRAINING,
            "gate": {"minRetention": 0.01}, "storage": {"uri": "s3://replaced/below"}, **judged(writing_source, server),
        }  # fmt: skip
        body = {"apiVersion": "distillery.dev/v1alpha1", "kind": "DistillationJob", "metadata": {"name": "grammar"}}
        (tmp_path / "job.yaml").write_text(json.dumps({**body, "spec": spec}))
        assert main(["run", "-f", str(tmp_path / "job.yaml"), "--storage", str(storage)]) == 0
    report = json.loads(Path(capsys.readouterr().out.rsplit("file://", 1)[1].strip()).read_text())
    dropped = report["training"]["droppedRows"]
    assert set(dropped) == {"unfinished", "empty", "ungraded", "judge"}
    assert dropped["judge"] > 0


@pytest.mark.usefixtures("in_this_process")
def test_what_gc_leaves_of_a_run_is_sound_and_enough_to_run_again(
    source: Path, storage: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_job(tmp_path / "job.yaml", source)
    command = ["run", "-f", str(tmp_path / "job.yaml"), "--storage", str(storage)]
    assert main(command) == 0
    (artifact,) = storage.glob("students/*/onnx-fp32")
    model = {"kind": "DistilledModel", "metadata": {"namespace": "team", "name": "animals", "uid": "uid-1"}, "spec": {}}
    active = {"uri": f"file://{artifact}", "digest": digest_bytes((artifact / "manifest.json").read_bytes())}
    (tmp_path / "state.json").write_text(json.dumps({"items": [{**model, "status": {"active": active}}]}))
    collect = ["gc", f"file://{storage}", "--apply", "--min-age", "0s", "--state", str(tmp_path / "state.json")]
    assert main(collect) == 0
    assert list(storage.glob("students/*/attempts/*/checkpoints/**/*.safetensors")) == []
    assert list(storage.glob("evaluations/*/*/report.json")) == []
    assert main(["labels", "verify", f"file://{storage}"]) == 0
    capsys.readouterr()
    assert main(command) == 0
    assert "every row already has soft labels of this teacher" in capsys.readouterr().out
    assert len(list(storage.glob("students/*/attempts/*/student"))) == 1


@pytest.mark.usefixtures("in_this_process")
def test_a_job_whose_answers_an_endpoint_writes_runs_to_its_report(
    writing_source: Path, storage: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gold = dict(micro_language.exchanges())
    folder = {"name": "yardstick", "weight": 0, "model": {"uri": f"file://{writing_source}/teacher"}}
    fields = micro_language.from_text(writing_source)
    student, training = {"config": micro_language.CONFIG}, micro_language.TRAINING
    with scripted(lambda text, before: completion(gold[text])) as server:
        teachers = [{"name": "big", "endpoint": {"url": server.url, "model": "big-chat"}}, folder]
        spec = {"task": "causal-lm", "teachers": teachers, "student": student, "training": training, **fields}
        write_manifest(tmp_path / "job.yaml", spec | {"gate": {"minRetention": 0.1}})
        command = ["run", "-f", str(tmp_path / "job.yaml"), "--storage", str(storage)]
        assert main(command) == 0
    shown = capsys.readouterr().out
    assert "26 rows labelled, 0 reused" in shown
    report = json.loads(Path(shown.rsplit("file://", 1)[1].strip()).read_text())
    assert report["verdict"]["verdict"] == "Pass"
    assert report["teacher"]["uri"] == folder["model"]["uri"]
