"""What can be known of a run before it begins, from footers, file sizes and configurations."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from distillery.estimate import data_files
from distillery.estimate.amounts import Rates, Sizes, Work, label_bytes, stage_work, token_label_bytes
from distillery.estimate.data_files import measure_file
from distillery.estimate.models import ModelFolder, measure_model, student_parameters
from distillery.plan_command import read_columns
from distillery_api.distillationjob import DistillationJobSpec
from model_folder import write_teacher
from stage_results import job_spec

SIZES = Sizes(learned_rows=100, learned_bytes=4000, tested_bytes=400, teacher=1000, student=10)


def spec(**changes: Any) -> dict[str, Any]:
    return DistillationJobSpec.model_validate(job_spec(**changes)).dump()


def test_operations_are_two_a_parameter_and_token_forward_and_six_in_training() -> None:
    works = {work.stage: work for work in stage_work(spec(training={"epochs": 5}), SIZES)}
    assert list(works) == ["preflight", "label", "train", "compress", "evaluate"]
    assert works["label"].operations == 2 * 1000 * 1000
    assert works["train"].operations == 6 * 10 * 1000 * 5
    assert works["evaluate"].operations == 2 * (1000 + 10) * 100


def test_a_control_trains_and_is_judged_like_the_student() -> None:
    control = spec(training={"epochs": 5, "control": {"learningRate": 0.1}})
    works = {work.stage: work.operations for work in stage_work(control, SIZES)}
    assert works["train"] == 2 * 6 * 10 * 1000 * 5
    assert works["evaluate"] == 2 * (1000 + 2 * 10) * 100


def test_a_student_answers_the_held_out_rows_once_more_for_every_perturbation() -> None:
    for robustness, passes in (({}, 4), ({"perturbations": ["case"]}, 2)):
        gate = spec(gate={"robustness": {"maxAccuracyLoss": 0.05} | robustness})
        assert stage_work(gate, SIZES)[-1].operations == 2 * (1000 + passes * 10) * 100


def test_stored_rows_are_not_labelled_again() -> None:
    sizes = Sizes(100, 4000, 400, 1000, 10, missing=0.25)
    assert stage_work(spec(), sizes)[1].operations == 2 * 1000 * 1000 / 4


@pytest.mark.parametrize("field", ["learned_bytes", "teacher"])
def test_what_is_unknown_makes_what_rests_on_it_unknown(field: str) -> None:
    sizes = Sizes(**{**vars(SIZES), field: None})
    assert stage_work(spec(), sizes)[1].operations is None


def test_time_is_shared_by_devices_and_every_gpu_counts() -> None:
    rates = Rates(gpu=10, cpu=1)
    work = Work("label", pods=4, gpus=2, operations=8e15)
    assert (work.seconds(rates), work.gpu_seconds(rates)) == (100, 800)
    unknown = Work("label", pods=4, gpus=2, operations=None)
    assert (unknown.seconds(rates), unknown.gpu_seconds(rates)) == (None, None)
    without = Work("train", pods=4, gpus=0, operations=8e15)
    assert (without.seconds(rates), without.gpu_seconds(rates)) == (2000, 0)


def test_nodes_that_train_together_share_the_time() -> None:
    (train,) = (work for work in stage_work(spec(training={"nodes": 3}), SIZES) if work.stage == "train")
    assert train.pods == 3


def test_dense_logits_take_four_bytes_a_label_and_a_key_a_row() -> None:
    assert label_bytes(spec(), 100, 3) == 100 * (64 + 4 * 3)
    assert label_bytes(spec(), None, 3) is None
    assert label_bytes(spec(), 100, None) is None


@pytest.mark.parametrize(
    ("soft_labels", "bytes_a_token"),
    [
        pytest.param({}, 38, id="sampled, whose measure in docs/soft-labels.md is 37.7"),
        pytest.param({"samples": 100}, 76, id="100 draws"),
        pytest.param({"kind": "topK", "k": 8}, 26.4, id="top 8, whose measure is 26"),
        pytest.param({"kind": "topK"}, 165, id="top 50"),
        pytest.param({"kind": "hidden"}, 1152, id="states"),
        pytest.param({"kind": "logits"}, 196608, id="logits"),
    ],
)
def test_soft_labels_of_tokens_are_counted_by_kind(soft_labels: dict[str, Any], bytes_a_token: float) -> None:
    assert token_label_bytes(soft_labels, 400, 49152, 576) == pytest.approx(100 * bytes_a_token)
    assert token_label_bytes(soft_labels, None, 49152, 576) is None


def test_each_teacher_that_is_asked_has_soft_labels_of_its_own() -> None:
    model = {"uri": "s3://bucket/teacher"}
    teachers = [{"model": model}, {"name": "other", "model": model}, {"name": "tokenizer", "model": model, "weight": 0}]
    assert label_bytes(spec(teachers=teachers), 100, 3) == 2 * 100 * (64 + 4 * 3)


def test_a_parquet_file_is_known_by_its_footer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = pa.table({"text": ["x" * 100, "y" * 200] * 50, "other": range(100)})
    pq.write_table(table, tmp_path / "rows.parquet", use_dictionary=False, compression="none", row_group_size=50)
    monkeypatch.setattr(data_files, "FOOTER", 2000)
    found = measure_file(f"file://{tmp_path}/rows.parquet", ["text"])
    assert found.rows == 100
    assert found.text_bytes == pytest.approx(15000, rel=0.1)
    missing = measure_file(f"file://{tmp_path}/rows.parquet", ["prompt", "text"])
    assert (missing.rows, missing.text_bytes, missing.unknown) == (100, None, "has no column 'prompt'")
    images = measure_file(f"file://{tmp_path}/rows.parquet", [])
    assert (images.rows, images.text_bytes, images.unknown) == (100, None, "")


def test_a_pairs_text_is_that_of_all_its_columns(tmp_path: Path) -> None:
    pairs = {"prompt": ["x" * 100] * 50, "response": ["y" * 300] * 50, "text": ["z"] * 50}
    pq.write_table(pa.table(pairs), tmp_path / "pairs.parquet", use_dictionary=False, compression="none")
    found = measure_file(f"file://{tmp_path}/pairs.parquet", ["prompt", "response"])
    assert found.text_bytes == pytest.approx(50 * 400, rel=0.1)


@pytest.mark.parametrize(
    ("task", "columns", "read"),
    [
        ("text-classification", {"text": "body"}, ["body"]),
        ("text-scoring", {"text": "body", "query": "asked"}, ["asked", "body"]),
        ("causal-lm", {"text": "text", "prompt": "p", "response": "r"}, ["p", "r"]),
        ("image-classification", {"text": "text"}, []),
    ],
)
def test_the_text_of_a_row_is_what_the_task_reads(task: str, columns: dict[str, str], read: list[str]) -> None:
    assert read_columns(columns, task, "train") == read_columns(columns, task, "test") == read


@pytest.mark.parametrize(
    ("name", "text", "rows"),
    [
        pytest.param("rows.csv", 'text,label\n"two\nlines",a\nb,c\n\n', 2, id="csv with a line break in a field"),
        pytest.param("rows.csv", "", 0, id="an empty csv"),
        pytest.param("rows.jsonl", '{"text": "a"}\n\n{"text": "b"}', 2, id="jsonl with an empty line"),
    ],
)
def test_small_files_of_text_are_counted(name: str, text: str, rows: int, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    assert measure_file(f"file://{tmp_path}/{name}", ["text"]).rows == rows


def test_a_large_file_of_text_is_not_read_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_files, "COUNTED", 5)
    (tmp_path / "rows.jsonl").write_text('{"text": "a"}\n')
    found = measure_file(f"file://{tmp_path}/rows.jsonl", ["text"])
    assert (found.rows, found.unknown) == (None, "14 bytes are more than are counted; write it as .parquet")


def test_a_file_that_is_missing_or_broken_says_so(tmp_path: Path) -> None:
    (tmp_path / "rows.parquet").write_bytes(b"no parquet")
    assert measure_file(f"file://{tmp_path}/rows.parquet", ["text"]).unknown
    assert "not found" in measure_file(f"file://{tmp_path}/nothing.csv", ["text"]).unknown
    assert "is not mounted" in measure_file("pvc://claim/rows.csv", ["text"]).unknown


@pytest.mark.parametrize(
    ("config", "parameters"),
    [({}, 100), ({"dtype": "bfloat16"}, 200), ({"torch_dtype": "float16"}, 200), ({"dtype": "int3"}, None)],
)
def test_a_model_is_measured_by_its_weight_files(
    config: dict[str, Any], parameters: int | None, tmp_path: Path
) -> None:
    write_teacher(tmp_path / "teacher", **config)
    found = measure_model(f"file://{tmp_path}/teacher")
    assert (found.parameters, found.outputs, found.vocabulary) == (parameters, 2, 30)


def test_a_model_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    assert "not found" in measure_model(f"file://{tmp_path}/nothing").unknown
    assert "is not mounted" in measure_model("pvc://claim/model").unknown
    assert "not looked up" in measure_model("hf://org/name@main").unknown


def test_a_student_is_counted_from_its_configuration_from_layers_or_by_its_files(tmp_path: Path) -> None:
    teacher = ModelFolder(parameters=1240, vocabulary=30, hidden=8, layers=4)
    config = {"config": {"hiddenSize": 8, "layers": 2, "intermediateSize": 16}}
    assert student_parameters(config, teacher, "text-classification") == 30 * 8 + 2 * (4 * 64 + 2 * 8 * 16)
    assert student_parameters(config, teacher, "causal-lm") == 30 * 8 + 2 * (4 * 64 + 3 * 8 * 16)
    assert student_parameters(config, ModelFolder(), "causal-lm") is None
    assert student_parameters(config, None, "causal-lm") is None
    assert student_parameters({"from": {"layers": [1, 4]}}, teacher, "text-classification") == 240 + 500
    assert student_parameters({"from": {"layers": [1]}}, ModelFolder(), "text-classification") is None
    write_teacher(tmp_path / "small")
    assert student_parameters({"model": {"uri": f"file://{tmp_path}/small"}}, None, "text-classification") == 100
    assert student_parameters({"imageConfig": {}}, teacher, "image-classification") is None
