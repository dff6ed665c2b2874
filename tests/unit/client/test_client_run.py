"""A job on this machine ends as the operator would end it: retries, verdicts, stops, and what is told of them."""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from distillery.__main__ import main
from distillery_api.exits import OUT_OF_MEMORY, PERMANENT, RETRY
from stage_ends import failure, success, verdict

Stages = Callable[..., Path]
JobFile = Callable[..., str]


@pytest.mark.parametrize(("result", "code"), [("Pass", 0), ("Fail", 1), ("Inconclusive", 2)])
def test_the_exit_code_is_the_verdict(
    result: str, code: int, stages: Stages, job_file: JobFile, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stages(evaluate=[verdict(result)])
    assert main(["run", "-f", job_file(), "--storage", str(tmp_path / "new/storage")]) == code
    shown = capsys.readouterr().out
    assert f"Verdict: {result}\n" in shown
    assert f"retention  {result}" in shown
    assert shown.rstrip().endswith("/1/report.json")
    assert (tmp_path / "new/storage").is_dir()


def test_a_training_of_several_pods_is_refused_before_anything_runs(
    stages: Stages, job_file: JobFile, capsys: pytest.CaptureFixture[str]
) -> None:
    started = stages()
    training = {"nodes": 3, "processesPerNode": 2}
    assert main(["run", "-f", job_file(training=training)]) == 3
    said = "spec.training.nodes: 3 pods .* set it to 1 and training.processesPerNode to 6 or less"
    assert re.search(said, capsys.readouterr().err)
    assert not started.exists()


def test_stages_run_in_order_and_each_end_is_told(
    stages: Stages, job_file: JobFile, capsys: pytest.CaptureFixture[str]
) -> None:
    log = stages()
    assert main(["run", "-f", job_file()]) == 0
    assert log.read_text().split() == ["preflight", "label", "train", "compress", "evaluate"]
    told = [line.split()[0] for line in capsys.readouterr().out.splitlines() if " done in " in line]
    assert told == ["preflight", "label", "train", "compress", "evaluate"]


def test_stored_soft_labels_skip_the_teacher(stages: Stages, job_file: JobFile) -> None:
    preflight = success("preflight")
    preflight["message"]["preflight"]["missingRows"] = 0
    log = stages(preflight=[preflight])
    assert main(["run", "-f", job_file()]) == 0
    assert "label" not in log.read_text()


def test_every_shard_is_a_process_and_its_rows_add_up(
    stages: Stages, job_file: JobFile, capsys: pytest.CaptureFixture[str]
) -> None:
    log = stages()
    assert main(["run", "-f", job_file(softLabels={"shards": 3, "parallelism": 2})]) == 0
    assert log.read_text().split().count("label") == 3
    assert "360 rows labelled" in capsys.readouterr().out


def test_a_crash_and_a_passing_fault_are_tried_again_and_told(
    stages: Stages, job_file: JobFile, capsys: pytest.CaptureFixture[str]
) -> None:
    crash, fault = {"says": "segmentation fault", "code": 139}, failure("train", "DiskFull", "full", RETRY)
    log = stages(train=[crash, fault, success("train")])
    assert main(["run", "-f", job_file()]) == 0
    assert log.read_text().split().count("train") == 3
    told = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Another process follows small-")]
    assert [line.split("exit code ")[1].split(";")[0] for line in told] == ["139", "75"]
    assert "segmentation fault" in Path(told[0].rsplit(" ", 1)[1]).read_text()


@pytest.mark.parametrize(
    ("ends", "words", "starts"),
    [
        pytest.param([failure("train", "UnknownLabel", "row 3", PERMANENT)], "UnknownLabel: row 3", 1, id="input"),
        pytest.param([{"says": "no such module", "code": 1}], "no such module", 2, id="crashes beyond the retries"),
        pytest.param([failure("train", "OutOfMemory", "more", OUT_OF_MEMORY)], "OutOfMemory: more", 1, id="memory"),
    ],
)  # fmt: skip
def test_a_stage_that_fails_for_good_ends_with_3_and_its_words(
    ends: list[dict[str, Any]], words: str, starts: int, stages: Stages, job_file: JobFile,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    log = stages(train=ends)
    assert main(["run", "-f", job_file(stages={"train": {"retries": {"infrastructure": 1}}})]) == 3
    shown = capsys.readouterr().out
    assert "Failed in train: " in shown
    assert words in shown
    assert log.read_text().split().count("train") == starts


def test_a_model_beside_the_job_sets_the_floor_of_its_gate(
    stages: Stages, job_file: JobFile, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = {"task": "text-classification", "promotion": {"gate": {"minRetention": 0.99}}}
    model = {"apiVersion": "distillery.dev/v1alpha1", "kind": "DistilledModel", "metadata": {"name": "served"}}
    (tmp_path / "model.yaml").write_text(json.dumps({**model, "spec": spec}))
    stages()  # its verdict is by a gate of 0.95
    assert main(["run", "-f", job_file(), "-f", str(tmp_path / "model.yaml")]) == 3
    assert "VerdictUntrusted" in capsys.readouterr().out


def test_a_deadline_stops_the_worker(stages: Stages, job_file: JobFile, capsys: pytest.CaptureFixture[str]) -> None:
    stages(train=[{"hangs": True}])
    assert main(["run", "-f", job_file(stages={"train": {"activeDeadlineSeconds": 1}})]) == 3
    assert "ActiveDeadlineExceeded" in capsys.readouterr().out


@pytest.mark.parametrize(("hangs", "signals"), [(True, 1), ("deaf", 2)], ids=["at once", "killed by a second one"])
def test_ctrl_c_stops_the_stage_and_says_how_to_go_on(
    hangs: bool | str, signals: int, stages: Stages, job_file: JobFile, child_path: list[str]
) -> None:
    log = stages(train=[{"hangs": hangs}])
    code = f"import sys; sys.path[:0] = {child_path!r}; from distillery.__main__ import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "run", "-f", job_file()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        while not (log.exists() and "train" in log.read_text()):
            time.sleep(0.02)
            assert process.poll() is None
        for _ in range(signals):
            process.send_signal(signal.SIGINT)
            time.sleep(0.3)
        shown, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Stopping: the stage stores what it has" in shown
    assert "the same command goes on from there" in shown
    assert "compress" not in log.read_text()
