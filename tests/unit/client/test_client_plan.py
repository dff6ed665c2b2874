"""What plan tells before anything runs: measured where it can be, by named formulas, and unknown where it is."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from distillery.__main__ import main
from distillery_storage import open_prefix
from distillery_worker.labels.codecs import LogitsCodec
from distillery_worker.labels.store import LabelSet, LabelStore
from model_folder import write_teacher
from stage_ends import failure, success
from stage_results import DIGESTS

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def local_job(tmp_path: Path, job_file: Callable[..., str]) -> Callable[..., str]:
    """Writes a job whose data and teacher are in a folder."""
    write_teacher(tmp_path / "teacher")
    for name in ("train", "test"):
        pq.write_table(pa.table({"text": [f"{name} {number}" for number in range(120)]}), tmp_path / f"{name}.parquet")

    def write(teacher: dict[str, str] | None = None, **changes: Any) -> str:
        model = {"uri": f"file://{tmp_path}/teacher", **(teacher or {})}
        dataset = {name: f"file://{tmp_path}/{name}.parquet" for name in ("train", "test")}
        return job_file(**{"teachers": [{"model": model}], "dataset": dataset, **changes})

    return write


def test_a_plan_tells_stages_rows_bytes_time_and_cost(
    local_job: Callable[..., str], tmp_path: Path, capsys: Capture
) -> None:
    job = local_job(
        softLabels={"shards": 4, "parallelism": 2}, stages={"label": {"gpus": 1}}, limits={"gpuSeconds": 7200}
    )
    prices = ["--tflops", "1e-9", "--cpu-tflops", "1e-3", "--price-per-gpu-hour", "3"]
    assert main(["plan", "-f", job, "--storage", str(tmp_path / "storage"), *prices]) == 0
    shown = capsys.readouterr().out
    assert f"small: text-classification, storage file://{tmp_path}/storage" in shown
    assert "label      2 of 4  1     about " in shown
    assert "Estimated in all: about " in shown
    assert "Assumed: 1e-09 * 10^12 operations a second on a GPU (--tflops), 0.001 * 10^12 in a pod" in shown
    assert "spec.limits.gpuSeconds ends the run at 7200 GPU-seconds, which is 6.00." in shown
    assert "train  120   " in shown
    assert "Soft labels (logits): at most 8.44 KiB for at most 120 rows" in shown
    assert "Reused: unknown; --preflight tells" in shown
    assert "  0 students, 0 B" in shown
    assert not (tmp_path / "storage").exists()


def test_a_plan_without_access_says_what_it_does_not_know(
    job_file: Callable[..., str], tmp_path: Path, capsys: Capture
) -> None:
    nowhere = {name: f"file://{tmp_path}/nothing/{name}.csv" for name in ("train", "test")}
    teachers = [{"model": {"uri": f"file://{tmp_path}/nothing/teacher"}}]
    job = job_file(dataset=nowhere, teachers=teachers, storage={"uri": "pvc://claim/storage"})
    assert main(["plan", "-f", job]) == 0
    shown = capsys.readouterr().out
    assert "label      1 of 1  0     unknown" in shown
    assert "train  unknown  unknown" in shown
    assert "Storage: pvc://claim/storage: claim 'claim' is not mounted" in shown


def test_labels_of_a_pinned_teacher_are_counted(local_job: Callable[..., str], tmp_path: Path, capsys: Capture) -> None:
    codec = LogitsCodec(alignment="one position per row", vocabulary=2)
    labels = LabelSet(codec=codec, teacher=DIGESTS["teacher"], tokenizer=DIGESTS["labels"], labels=["a", "b"])
    store = LabelStore.at(open_prefix(f"file://{tmp_path}/storage"), labels)
    store.describe()
    store.append(["1", "2", "3"], [{"logits": np.zeros((1, 2), np.float32)}] * 3, 0, "job")
    job = local_job({"digest": DIGESTS["teacher"]})
    assert main(["plan", "-f", job, "--storage", str(tmp_path / "storage")]) == 0
    assert "Reused: up to 3 rows that this teacher labelled" in capsys.readouterr().out
    other = local_job({"digest": DIGESTS["student"]})
    assert main(["plan", "-f", other, "--storage", str(tmp_path / "storage")]) == 0
    assert "Reused: up to 0 rows" in capsys.readouterr().out


def test_preflight_tells_of_answers_without_a_grade(
    stages: Callable[..., Path], local_job: Callable[..., str], tmp_path: Path, capsys: Capture
) -> None:
    preflight = success("preflight")
    preflight["message"]["preflight"] |= {"missingRows": 0, "ungradedRows": 9}
    stages(preflight=[preflight])
    (tmp_path / "storage").mkdir()
    assert main(["plan", "-f", local_job(), "--storage", str(tmp_path / "storage"), "--preflight"]) == 0
    assert "Reused: soft labels of all but 0 of 120 rows, 9 of them without a grade; " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("stored", "words"),
    [
        pytest.param([], "no student: train runs\n", id="nothing"),
        pytest.param(["attempts/one/x"], "no student: train runs, from a checkpoint\n", id="an attempt"),
        pytest.param(["train.json"], "the trained student\n", id="a student"),
    ],
)
def test_preflight_tells_exactly_what_is_reused(
    stored: list[str], words: str, stages: Callable[..., Path], local_job: Callable[..., str], tmp_path: Path,
    capsys: Capture,
) -> None:  # fmt: skip
    preflight = success("preflight")
    found = {"missingRows": 30, "labelBytes": 2048, "droppedRows": {"length": 3, "duplicates": 2}}
    preflight["message"]["preflight"] |= found
    log = stages(preflight=[preflight])
    for path in stored:
        student = open_prefix(f"file://{tmp_path}/storage/students").child(DIGESTS["student"].removeprefix("sha256:"))
        student.write(path, b"{}")
    (tmp_path / "storage").mkdir(exist_ok=True)
    assert main(["plan", "-f", local_job(), "--storage", str(tmp_path / "storage"), "--preflight"]) == 0
    shown = capsys.readouterr().out
    assert f"Reused: soft labels of all but 30 of 120 rows; {words}" in shown
    assert "without a grade" not in shown
    assert "Not learned from: 3 by length, 2 by duplicates" in shown
    assert "Soft labels (logits): 2 KiB for 30 rows" in shown
    assert log.read_text().split() == ["preflight"]


@pytest.mark.parametrize(
    ("end", "words"),
    [
        pytest.param(failure("preflight", "UnknownLabel", "row 3", 65), "preflight: UnknownLabel: row 3", id="refused"),
        pytest.param({"says": "no torch", "code": 1}, "preflight: ended with exit code 1: no torch", id="crashed"),
    ],
)
def test_a_preflight_that_fails_ends_the_plan_with_its_words(
    end: dict[str, Any], words: str, stages: Callable[..., Path], local_job: Callable[..., str], capsys: Capture
) -> None:
    stages(preflight=[end])
    assert main(["plan", "-f", local_job(), "--preflight"]) == 3
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("price", ["0", "-1", "cheap", "nan"])
def test_a_price_is_a_number_above_zero(price: str, job_file: Callable[..., str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["plan", "-f", job_file(), "--tflops", price])
    assert ended.value.code == 3
