"""Jobs with several teachers, or an ONNX file, through the stages."""

import json
import shutil
from pathlib import Path

import micro
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from distillery_storage import open_prefix
from distillery_worker.artifacts.onnx_export import export_text_model
from distillery_worker.context import Context
from distillery_worker.data.text import row_key
from distillery_worker.errors import InputRefused
from panel_job import Job, folder
from scipy.special import softmax
from transformers import BertForSequenceClassification


@pytest.fixture(scope="module")
def second(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another teacher: the same with its labels in another order, and less sure of itself."""
    path = tmp_path_factory.mktemp("second") / "teacher"
    shutil.copytree(source / "teacher", path)
    model = BertForSequenceClassification.from_pretrained(path)
    order = [2, 0, 1]
    with torch.no_grad():
        model.classifier.weight.copy_(model.classifier.weight[order] / 8)
        model.classifier.bias.copy_(model.classifier.bias[order] / 8)
    model.config.id2label = {place: micro.ANIMALS[index] for place, index in enumerate(order)}
    model.save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def onnx_folder(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The teacher as an ONNX file, beside its config and tokenizer."""
    path = tmp_path_factory.mktemp("onnx") / "teacher"
    shutil.copytree(source / "teacher", path, ignore=shutil.ignore_patterns("*.safetensors"))
    export_text_model(BertForSequenceClassification.from_pretrained(source / "teacher"), path / "model.onnx")
    return path


def test_an_ensemble_is_the_mean_of_its_teachers_probabilities_with_labels_aligned_by_name(
    source: Path, storage: Path, context: Context, second: Path
) -> None:
    texts = pq.read_table(source / "train.parquet")["text"].to_pylist()[:20]
    main, other = folder(source / "teacher", name="main", weight=3), folder(second, name="other")
    job = Job(source, storage, context, [main, other])
    assert job.found.missing_rows == 140
    assert job.label().labelled_rows == 140
    alone = [Job(source, storage, context, [one]).soft_labels(texts) for one in (main, other)]
    wanted = 0.75 * softmax(alone[0], axis=1) + 0.25 * softmax(alone[1][:, [1, 2, 0]], axis=1)
    np.testing.assert_allclose(softmax(job.soft_labels(texts), axis=1), wanted, atol=1e-6)
    assert np.abs(softmax(alone[0], axis=1) - wanted).max() > 0.01


def test_teachers_keep_their_own_soft_labels_so_that_another_weight_or_teacher_asks_nothing_again(
    source: Path, storage: Path, context: Context, second: Path
) -> None:
    main, other = folder(source / "teacher", name="main"), folder(second, name="other")
    first = Job(source, storage, context, [main, other])
    first.label()
    reweighted = Job(source, storage, context, [main, other | {"weight": 0.5}])
    assert reweighted.found.missing_rows == 0
    assert reweighted.found.labels_key != first.found.labels_key
    assert Job(source, storage, context, [other]).found.missing_rows == 0


def test_equal_folders_are_one_teacher_that_is_loaded_and_asked_once(
    source: Path, storage: Path, context: Context
) -> None:
    twice = [folder(source / "teacher", name="main"), folder(source / "teacher", name="again")]
    job = Job(source, storage, context, twice)
    assert len({id(member.teacher) for member in job.panel().members}) == 1
    job.label()
    assert len(list((storage / "labels").iterdir())) == 1


def test_a_whole_job_with_an_ensemble_ends_in_a_verdict_about_its_mean(
    source: Path, storage: Path, context: Context, second: Path
) -> None:
    job = Job(source, storage, context, [folder(source / "teacher", name="main"), folder(second, name="other")])
    job.label()
    verdict = job.finish()
    teacher = next(model for model in verdict.measured if model.name == "teacher")
    assert teacher.value == 1.0
    assert teacher.p50_ms is None
    report = json.loads(Path(verdict.report_uri.removeprefix("file://")).read_text())
    assert report["teacher"] == {
        "uri": f"file://{source}/teacher, file://{second}",
        "digest": job.found.teacher_digest,
    }
    assert set(job.found.teacher_digests or {}) == {"main", "other"}


def test_rows_are_routed_by_their_slice(source: Path, storage: Path, context: Context, second: Path) -> None:
    for name in ("train", "unlabelled", "test"):
        table = pq.read_table(source / f"{name}.parquet")
        column = ["first" if text < "m" else "rest" for text in table["text"].to_pylist()]
        (storage / "data").mkdir(parents=True, exist_ok=True)
        pq.write_table(table.append_column("part", pa.array(column)), storage / "data" / f"{name}.parquet")
    files = {name: f"file://{storage}/data/{name}.parquet" for name in ("train", "unlabelled", "test")}
    main = folder(source / "teacher", name="main")
    special = folder(second, name="special", slices=["first"])
    job = Job(source, storage, context, [main, special], dataset=files | {"columns": {"slice": "part"}})
    job.label()
    stores = [member.store(open_prefix(f"file://{storage}")) for member in job.panel().members]
    texts = [text for name in ("train", "unlabelled") for text in pq.read_table(files[name][7:])["text"].to_pylist()]
    assert stores[0].keys() == {row_key(text) for text in texts if text >= "m"}
    assert stores[1].keys() == {row_key(text) for text in texts if text < "m"}


def test_rows_on_which_teachers_disagree_too_much_have_no_soft_label(
    source: Path, storage: Path, context: Context, second: Path
) -> None:
    texts = pq.read_table(source / "train.parquet")["text"].to_pylist()
    job = Job(source, storage, context, [folder(source / "teacher", name="main"), folder(second, name="other")])
    job.label()
    assert not np.isnan(job.soft_labels(texts, most=1.0)).any()
    assert np.isnan(job.soft_labels(texts, most=0.0)).all()


def test_teachers_with_other_labels_are_refused(source: Path, storage: Path, context: Context, tmp_path: Path) -> None:
    shutil.copytree(source / "teacher", tmp_path / "other")
    config = tmp_path / "other" / "config.json"
    config.write_text(config.read_text().replace('"owl"', '"eagle"'))
    with pytest.raises(InputRefused, match="'other' lacks 'owl', other than 'main'"):
        Job(source, storage, context, [folder(source / "teacher"), folder(tmp_path / "other", name="other")])


def test_a_wrong_folder_is_refused_by_its_place_in_the_list(
    source: Path, storage: Path, context: Context, tmp_path: Path
) -> None:
    shutil.copytree(source / "teacher", tmp_path / "other")
    (tmp_path / "other" / "config.json").write_text("no json")
    with pytest.raises(InputRefused, match=r"teachers\[1\].model: .*other/config.json is not JSON"):
        Job(source, storage, context, [folder(source / "teacher"), folder(tmp_path / "other", name="other")])


def test_an_onnx_file_answers_as_the_weights_that_it_was_made_of(
    source: Path, storage: Path, context: Context, onnx_folder: Path
) -> None:
    texts = pq.read_table(source / "train.parquet")["text"].to_pylist()
    student = {"config": micro.STUDENT["config"] | {"embeddings": "Random"}}
    job = Job(source, storage, context, [folder(onnx_folder)], student=student)
    weights = Job(source, storage, context, [folder(source / "teacher")])
    job.label()
    weights.label()
    assert job.found.labels_key != weights.found.labels_key
    np.testing.assert_allclose(job.soft_labels(texts), weights.soft_labels(texts), atol=1e-4)
    assert Job(source, storage, context, [folder(onnx_folder)], student=student).found.rechecked_rows == 8


def test_a_student_cannot_start_from_the_embeddings_of_an_onnx_file(
    source: Path, storage: Path, context: Context, onnx_folder: Path
) -> None:
    with pytest.raises(InputRefused, match="embeddings: Random"):
        Job(source, storage, context, [folder(onnx_folder)])


def test_a_folder_with_two_onnx_files_does_not_say_which_answers(
    source: Path, storage: Path, context: Context, onnx_folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(onnx_folder, tmp_path / "two")
    shutil.copy(tmp_path / "two" / "model.onnx", tmp_path / "two" / "model_int8.onnx")
    with pytest.raises(InputRefused, match=r"has 2 \.onnx files"):
        Job(source, storage, context, [folder(tmp_path / "two")])
