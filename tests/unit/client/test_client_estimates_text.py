"""What plan tells of a job whose student learns what the teacher writes."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from distillery.__main__ import main
from distillery.estimate.amounts import Sizes, answer_bytes, stage_work
from distillery.plan_command import labels_blocks, read_columns
from distillery_api.distillationjob import DistillationJobSpec
from distillery_api.soft_labels import NEW_TOKENS
from stage_results import DIGESTS, job_spec

Capture = pytest.CaptureFixture[str]
SIZES = Sizes(learned_rows=100, learned_bytes=4000, tested_bytes=400, teacher=1000, student=10)


def spec(**changes: Any) -> dict[str, Any]:
    return DistillationJobSpec.model_validate(job_spec(**changes)).dump()


@pytest.mark.parametrize("missing", [0.3, 1.0])
def test_answers_are_written_and_learned_besides_the_text_of_the_files(missing: float) -> None:
    job = spec(task="causal-lm", softLabels={"kind": "text", "maxNewTokens": 40}, training={"epochs": 5})
    works = {work.stage: work.operations for work in stage_work(job, replace(SIZES, missing=missing))}
    assert works["label"] == pytest.approx(2 * 1000 * (1000 + 100 * 40) * missing)
    assert works["train"] == 6 * 10 * (1000 + 100 * 40) * 5


@pytest.mark.parametrize(("kind", "blocks"), [("text", False), ("sampled", True)])
def test_answers_are_labels_of_rows_and_other_labels_of_a_language_model_are_not(kind: str, blocks: bool) -> None:
    assert labels_blocks(spec(task="causal-lm", softLabels={"kind": kind})) is blocks
    assert labels_blocks(spec()) is False


def test_written_answers_take_four_bytes_a_token_and_a_key_a_row() -> None:
    assert answer_bytes({"kind": "text", "maxNewTokens": 40}, 100) == 100 * (64 + 4 * 40)
    assert answer_bytes({"kind": "text"}, 100) == 100 * (64 + 4 * NEW_TOKENS)
    assert answer_bytes({"kind": "text"}, None) is None


def test_of_unlabelled_prompts_no_response_is_read() -> None:
    columns = {"text": "text", "prompt": "question", "response": "answer"}
    assert read_columns(columns, "causal-lm", "unlabelled") == ["question"]
    assert read_columns({"text": "body"}, "text-classification", "unlabelled") == ["body"]


def answered_job(tmp_path: Path, job_file: Callable[..., str], teachers: list[dict[str, Any]]) -> str:
    """100 prompts with responses and 20 without, that the teachers answer in 192 tokens each."""
    pair = {"prompt": [f"question {number}" for number in range(100)], "response": ["an answer"] * 100}
    for field in ("train", "test"):
        pq.write_table(pa.table(pair), tmp_path / f"{field}.parquet")
    pq.write_table(pa.table({"prompt": pair["prompt"][:20]}), tmp_path / "unlabelled.parquet")
    dataset = {field: f"file://{tmp_path}/{field}.parquet" for field in ("train", "unlabelled", "test")}
    path = Path(
        job_file(
            task="causal-lm",
            teachers=teachers,
            dataset=dataset | {"columns": {"prompt": "prompt", "response": "response"}},
            softLabels={"kind": "text", "maxNewTokens": 192},
        )
    )
    job = json.loads(path.read_text())
    del job["spec"]["promoteTo"]
    path.write_text(json.dumps(job))
    return str(path)


def test_a_plan_tells_what_answers_take_at_most(tmp_path: Path, job_file: Callable[..., str], capsys: Capture) -> None:
    job = answered_job(tmp_path, job_file, [{"model": {"uri": f"file://{tmp_path}/nothing"}}])
    assert main(["plan", "-f", job, "--storage", str(tmp_path / "storage")]) == 0
    shown = capsys.readouterr().out
    assert "unlabelled  20 " in shown
    assert "Soft labels (text): at most 97.5 KiB for at most 120 rows" in shown
    assert "has no column" not in shown


def test_of_an_endpoint_that_writes_a_plan_tells_nothing_that_only_its_server_knows(
    tmp_path: Path, job_file: Callable[..., str], capsys: Capture
) -> None:
    folder = {"uri": f"file://{tmp_path}/nothing", "digest": DIGESTS["teacher"]}
    endpoint = {"url": "https://host/v1", "model": "big-chat"}
    teachers = [{"name": "yardstick", "weight": 0, "model": folder}, {"name": "big", "endpoint": endpoint}]
    job = answered_job(tmp_path, job_file, teachers)
    assert main(["plan", "-f", job, "--storage", str(tmp_path / "storage")]) == 0
    shown = capsys.readouterr().out
    assert "label      1 of 1  0     unknown" in shown
    assert "Reused: unknown; --preflight tells.\n" in shown
