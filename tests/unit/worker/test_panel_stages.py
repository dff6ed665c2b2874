"""Jobs with other teachers than one folder: ensembles, routing, ONNX files and endpoints, through the stages."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import micro
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from chat_server import ChatServer, Reply, completion, scripted
from distillery_api.distillationjob_status import VerdictStatus
from distillery_api.summary import PreflightResult
from distillery_storage import open_prefix
from distillery_worker.artifacts.onnx_export import export_onnx
from distillery_worker.context import Context
from distillery_worker.data.files import Rows
from distillery_worker.data.text import row_key
from distillery_worker.errors import InputRefused
from distillery_worker.labels.store import LabelStore
from distillery_worker.stages.compress import compress
from distillery_worker.stages.evaluate import evaluate
from distillery_worker.stages.label import label
from distillery_worker.stages.preflight import preflight
from distillery_worker.stages.train import train
from distillery_worker.teachers.local import load_model
from distillery_worker.teachers.panel import Panel, fetch_panel
from scipy.special import softmax

LABEL_OF = dict(micro.sentences())
STUDENT_STAGES = ("preflight", "train")  # the others are not told of it


class Job:
    """The stages of one job with these teachers, run in this process."""

    def __init__(self, source: Path, storage: Path, context: Context, teachers: list[dict[str, Any]], **fields: Any):
        self.source, self.storage, self.context = source, storage, context
        self.fields = {"teachers": teachers} | fields
        self.found: PreflightResult = preflight(self.run("preflight"), context)

    def run(self, stage: str, **more: Any) -> Any:
        told = {name: value for name, value in self.fields.items() if name != "student" or stage in STUDENT_STAGES}
        return micro.make_run(stage, self.source, self.storage, **told | more)

    def keys(self) -> dict[str, str]:
        return {"labelsKey": self.found.labels_key, "studentKey": self.found.student_key}

    def label(self, shard: int = 0, **more: Any) -> Any:
        run = self.run("label", labelsKey=self.found.labels_key, **more)
        return label(run, replace(self.context, shard=shard))

    def finish(self) -> VerdictStatus:
        """Train, compress and evaluate."""
        train(self.run("train", **self.keys()), self.context)
        made = compress(self.run("compress", **self.keys()), self.context)
        return self.evaluate({"uri": made.artifact_uri, "digest": made.artifact_digest})

    def evaluate(self, artifact: dict[str, str], **more: Any) -> VerdictStatus:
        gate = {"minRetention": 0.1, "incumbentMargin": 0.05}
        run = self.run("evaluate", studentKey=self.found.student_key, artifact=artifact, gate=gate, **more)
        return evaluate(run, self.context)

    def panel(self) -> Panel:
        return fetch_panel(self.run("preflight"), self.context)

    def soft_labels(self, texts: list[str], most: float | None = None) -> np.ndarray:
        rows = self.panel_rows(texts)
        missing, outputs = self.panel().stored(open_prefix(f"file://{self.storage}"), most, rows)
        assert not missing
        return outputs

    def panel_rows(self, texts: list[str]) -> Any:
        return Rows(texts, None, "d", [row_key(text) for text in texts])


def folder(path: Path, **fields: Any) -> dict[str, Any]:
    return {"model": {"uri": f"file://{path}"}} | fields


def endpoint(server: ChatServer, **fields: Any) -> dict[str, Any]:
    spec = {"url": server.url, "model": "big", "labels": micro.ANIMALS} | fields
    return {"name": "big", "endpoint": spec}


def says_the_animal(text: str, before: int) -> Reply:
    """A teacher that is always right."""
    return completion(LABEL_OF.get(text, "no idea"), tokens=10)


@pytest.fixture(scope="module")
def small(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The teacher and a few rows: 20 with gold, 20 without, 40 held out."""
    path = tmp_path_factory.mktemp("small")
    shutil.copytree(source / "teacher", path / "teacher")
    for name, count in (("train", 20), ("unlabelled", 20), ("test", 40)):
        pq.write_table(pq.read_table(source / f"{name}.parquet").slice(0, count), path / f"{name}.parquet")
    return path


@pytest.fixture(scope="module")
def second(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another teacher: the same with its labels in another order, and less sure of itself."""
    path = tmp_path_factory.mktemp("second") / "teacher"
    shutil.copytree(source / "teacher", path)
    model = load_model(path, "second")
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
    export_onnx(load_model(source / "teacher", "teacher"), path / "model.onnx")
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
    stores = [LabelStore.at(open_prefix(f"file://{storage}"), member.labels_key) for member in job.panel().members]
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


def test_an_endpoint_labels_and_is_judged_and_every_row_is_paid_for_once(
    small: Path, storage: Path, context: Context
) -> None:
    with scripted(says_the_animal) as server:
        teachers = [folder(small / "teacher", name="tokenizer", weight=0), endpoint(server)]
        job = Job(small, storage, context, teachers)
        preflight_asked = len(server.asked)
        first = job.label()
        verdict = job.finish()
        asked = len(server.asked)
        again = Job(small, storage, context, teachers)
        assert again.found.missing_rows == 0
    assert (first.labelled_rows, first.tokens, first.unusable_rows) == (40, 400, None)
    assert preflight_asked == 4
    assert asked == preflight_asked + 40 + 40
    teacher = next(model for model in verdict.measured if model.name == "teacher")
    assert (teacher.value, teacher.parameters) == (1.0, None)


def test_rows_without_a_usable_answer_are_counted_and_not_asked_again(
    small: Path, storage: Path, context: Context
) -> None:
    def shy(text: str, before: int) -> Reply:
        return completion("I cannot say", tokens=10) if text.startswith("the ") else says_the_animal(text, before)

    with scripted(shy) as server:
        teachers = [folder(small / "teacher", name="tokenizer", weight=0), endpoint(server, minUsableShare=0.5)]
        job = Job(small, storage, context, teachers)
        first = job.label()
        asked = len(server.asked)
        assert job.label().labelled_rows == 0
        assert len(server.asked) == asked
        verdict = job.finish()
    shy_rows = [text for text in server.texts if text.startswith("the ")]
    assert 0 < first.unusable_rows < len(set(shy_rows))
    teacher = next(model for model in verdict.measured if model.name == "teacher")
    items = pq.read_table(verdict.report_uri.removeprefix("file://").replace("report.json", "items.parquet"))
    assert items["teacher"].to_pylist().count("") == round((1 - teacher.value) * 40)


def test_answers_that_failed_one_job_fail_the_next_until_it_asks_for_less(
    small: Path, storage: Path, context: Context
) -> None:
    def shy(text: str, before: int) -> Reply:
        return completion("I cannot say") if text.startswith("the ") else says_the_animal(text, before)

    with scripted(shy) as server:
        tokenizer = folder(small / "teacher", name="tokenizer", weight=0)
        job = Job(small, storage, context, [tokenizer, endpoint(server, minUsableShare=0.99)])
        with pytest.raises(InputRefused, match=r"40 rows: \d+ answered, \d outside"):
            job.label()
        with pytest.raises(InputRefused, match=r"answered 40 of these rows before, \d+ of them usably"):
            Job(small, storage, context, [tokenizer, endpoint(server, minUsableShare=0.99)])
        lower = Job(small, storage, context, [tokenizer, endpoint(server, minUsableShare=0.5)])
    assert lower.found.missing_rows == 0
    assert lower.found.labels_key == job.found.labels_key


def test_a_budget_is_shared_by_the_shards_and_counts_what_earlier_attempts_paid(
    small: Path, storage: Path, context: Context
) -> None:
    with scripted(says_the_animal) as server:
        teachers = [
            folder(small / "teacher", name="tokenizer", weight=0),
            endpoint(server, tokenBudget=600, concurrency=1),
        ]
        job = Job(small, storage, context, teachers, softLabels={"shards": 2})
        before = len(server.asked)
        for _ in range(2):
            with pytest.raises(InputRefused, match="tokenBudget leaves") as refused:
                job.label(shard=0)
            assert refused.value.reason == "TokensUsedUp"
        assert 0 < (len(server.asked) - before) * 10 <= 300


def test_an_endpoint_without_its_key_is_refused_before_anything_is_asked(
    small: Path, storage: Path, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    with scripted(says_the_animal) as server:
        teachers = [
            folder(small / "teacher", name="tokenizer", weight=0),
            endpoint(server, secretRef={"name": "big-key"}),
        ]
        monkeypatch.delenv("TEACHER_BIG_API_KEY", raising=False)
        with pytest.raises(InputRefused, match=r"TEACHER_BIG_API_KEY is not set.*apiKey.*'big-key'") as refused:
            Job(small, storage, context, teachers)
        assert refused.value.reason == "AccessDenied"
        assert not server.asked
        monkeypatch.setenv("TEACHER_BIG_API_KEY", "sesame")
        Job(small, storage, context, teachers)
    assert set(server.keys) == {"Bearer sesame"}


def test_an_endpoint_alone_leaves_the_student_without_a_tokenizer(small: Path, storage: Path, context: Context) -> None:
    with scripted(says_the_animal) as server, pytest.raises(InputRefused, match="takes its tokenizer from the first"):
        Job(small, storage, context, [endpoint(server)])
