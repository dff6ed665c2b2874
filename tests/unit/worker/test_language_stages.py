"""The stages of a causal-lm job on a micro language, and what is refused before any of them."""

import io
import json
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import micro_language as micro
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from distillery.__main__ import main as gate_again
from distillery_api.summary import PreflightResult
from distillery_storage import fetch_artifact
from distillery_worker.context import Context
from distillery_worker.errors import InputRefused, Interrupted
from distillery_worker.evaluation import serving_process
from distillery_worker.evaluation.likelihood import mean_loss
from distillery_worker.stages.compress import compress
from distillery_worker.stages.evaluate import evaluate
from distillery_worker.stages.label import label
from distillery_worker.stages.preflight import preflight
from distillery_worker.stages.train import train
from distillery_worker.students.llama import load_decoder
from distillery_worker.tasks.causal_lm import CausalLm
from distillery_worker.teachers import teacher as teaching
from distillery_worker.training.fitting import Fit


class Pipeline:
    """The stages of one job, run in this process."""

    def __init__(self, source: Path, storage: Path, context: Context, **fields: Any) -> None:
        self.source, self.storage, self.context, self.fields = source, storage, context, fields
        self.found: PreflightResult = self.run(preflight, "preflight")

    def run(self, stage: Callable[..., Any], name: str, workdir: str = "", **fields: Any) -> Any:
        run = micro.make_run(name, self.source, self.storage, **(self.fields | fields))
        return stage(run, replace(self.context, workdir=self.context.workdir / (workdir or name)))

    def label(self, **fields: Any) -> Any:
        return self.run(label, "label", labelsKey=self.found.labels_key, **fields)

    def train(self, workdir: str = "", **fields: Any) -> Any:
        keys = {"labelsKey": self.found.labels_key, "studentKey": self.found.student_key}
        return self.run(train, "train", workdir, **keys, **fields)

    def compress(self) -> Any:
        keys = {"labelsKey": self.found.labels_key, "studentKey": self.found.student_key}
        return self.run(compress, "compress", **keys)

    def evaluate(self, made: Any, min_retention: float) -> Any:
        artifact = {"uri": made.artifact_uri, "digest": made.artifact_digest}
        gate = {"minRetention": min_retention}
        return self.run(evaluate, "evaluate", studentKey=self.found.student_key, artifact=artifact, gate=gate)


def test_the_whole_run_ends_in_a_verdict_on_perplexity(
    language_source: Path, storage: Path, context: Context, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    slow = micro.TRAINING | {"epochs": 10, "control": {"learningRate": 0.02}}
    pipeline = Pipeline(language_source, storage, context, training=slow)
    assert pipeline.found.rows == {"train": 12, "test": 6}
    pipeline.label()
    trained = pipeline.train()
    made = pipeline.compress()
    assert made.max_abs_difference < 1e-5
    verdict = pipeline.evaluate(made, 0.5)

    assert verdict.result == "Pass"
    assert [criterion.name for criterion in verdict.criteria] == ["retention"]
    measured = {model.name: model for model in verdict.measured}
    assert set(measured) == {"teacher", "student", "control"}
    assert {model.metric for model in verdict.measured} == {"perplexity"}
    assert {model.items for model in verdict.measured} == {6}  # documents
    assert measured["teacher"].value < measured["student"].value < len(micro.WORDS)
    assert measured["student"].parameters == trained.parameters

    report = json.loads(Path(verdict.report_uri.removeprefix("file://")).read_text())
    items = pq.read_table(report["items"]["uri"].removeprefix("file://")).to_pydict()
    assert gate_again(["gate", verdict.report_uri]) == 0
    assert len(set(items["cluster"])) == 6 < len(items["cluster"])
    nats = np.average(items["student"], weights=items["tokens"])
    assert np.exp(nats) == pytest.approx(measured["student"].value, rel=1e-5)
    assert 0.1 < report["training"]["student"]["signal"] <= 1
    entropy = 1.5  # nats at most, of three to five next words
    assert report["training"]["student"]["initialDivergence"] < np.log(len(micro.WORDS)) + entropy

    manifest = fetch_artifact(made.artifact_uri, made.artifact_digest, tmp_path / "artifact")
    assert (manifest.task, manifest.format, manifest.labels) == ("causal-lm", "safetensors", [])
    assert set(manifest.files) == {
        "config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"
    }  # fmt: skip
    served, task = load_decoder(tmp_path / "artifact"), CausalLm()
    rows = task.load_rows(f"file://{language_source}/test.parquet", "test", pipeline_columns(), None, tmp_path)
    blocks = task.units(rows, task.encoder(tmp_path / "artifact", manifest.preprocessing))
    assert mean_loss(served, blocks.inputs) == pytest.approx(nats, rel=1e-5)

    assert report["costs"]["measuredOn"]["engine"].startswith("PyTorch ")
    pickled = b"".join(map(pickle.dumps, blocks.inputs))
    serving_process.main(tmp_path / "artifact", io.BufferedReader(io.BytesIO(pickled)))
    assert int(capsys.readouterr().out.split()[-1]) > 2**20


def pipeline_columns() -> Any:
    return micro.make_run("label", Path(), Path(), labelsKey="sha256:" + "0" * 64).dataset.columns


def test_of_pairs_the_responses_alone_count(language_source: Path, storage: Path, context: Context) -> None:
    files = {name: f"file://{language_source}/{name}.parquet" for name in ("pairs", "test-pairs")}
    columns = {"prompt": "question", "response": "answer"}
    dataset = {"train": files["pairs"], "test": files["test-pairs"], "sequenceLength": 16, "columns": columns}
    pipeline = Pipeline(language_source, storage, context, dataset=dataset)
    pipeline.label()
    pipeline.train()
    verdict = pipeline.evaluate(pipeline.compress(), 0.1)
    report = json.loads(Path(verdict.report_uri.removeprefix("file://")).read_text())
    items = pq.read_table(report["items"]["uri"].removeprefix("file://")).to_pydict()
    assert items["tokens"] == [9] * 10  # eight words of the response, and the end


def test_texts_are_filtered_whole_and_split_by_their_groups(
    language_source: Path, storage: Path, context: Context, tmp_path: Path
) -> None:
    held_out = [micro.document(seed, 30) for seed in range(100, 104)]
    texts = [micro.document(seed, 30) for seed in range(8)]
    for name, rows in {"train": [*texts, texts[0], "the cat", held_out[0]], "test": held_out}.items():
        authors = [f"{name} {number // 2}" for number in range(len(rows))]
        pq.write_table(pa.table({"text": rows, "author": authors}), tmp_path / f"{name}.parquet")
    dataset = {name: f"file://{tmp_path}/{name}.parquet" for name in ("train", "test")} | {"sequenceLength": 16}
    filters = {"length": {"minCharacters": 20}, "contamination": {}, "dedupe": {}}
    dataset |= {"columns": {"group": "author"}, "filters": filters}
    pipeline = Pipeline(language_source, storage, context, dataset=dataset)
    assert pipeline.found.dropped_rows == {"length": 1, "contamination": 1, "duplicates": 1}
    assert pipeline.found.rows == {"train": 8, "test": 4}
    assert pipeline.label().labelled_rows == pipeline.found.missing_rows == 16
    assert pipeline.train().dropped_rows == pipeline.found.dropped_rows
    record = json.loads(next(storage.rglob("train.json")).read_text())
    assert (record["validationRows"], record["student"]["rows"]) == (4, 12)  # blocks of two documents by one author


@pytest.mark.parametrize("soft_labels", [{}, {"kind": "topK", "k": 3}, {"kind": "logits"}, {"kind": "hidden"}])
def test_every_kind_of_soft_label_trains(
    soft_labels: dict[str, Any], language_source: Path, storage: Path, context: Context
) -> None:
    pipeline = Pipeline(language_source, storage, context, softLabels=soft_labels)
    labelled = pipeline.label()
    assert labelled.labelled_rows == pipeline.found.missing_rows
    stored = sum(path.stat().st_size for path in storage.rglob("segments/*.parquet"))
    assert pipeline.found.label_bytes == pytest.approx(stored, rel=0.5)
    assert pipeline.train().validation_score > -np.log(len(micro.WORDS))


@pytest.mark.parametrize(
    "signal",
    [
        pytest.param({"hiddenStates": {"layers": [{"teacher": 1, "student": 1}]}}, id="hidden states"),
        pytest.param({"attention": {"teacherLayer": 1, "relationHeads": 4}}, id="attention relations"),
    ],
)
def test_signals_from_inside_the_teacher_train_a_language_model(
    signal: dict[str, Any], language_source: Path, storage: Path, context: Context
) -> None:
    plain = Pipeline(language_source, storage, context)
    plain.label()
    guided = Pipeline(language_source, storage, context, objective=signal)
    scores = [pipeline.train(name).validation_score for pipeline, name in ((plain, "plain"), (guided, "guided"))]
    assert scores[0] != scores[1]
    assert min(scores) > -np.log(len(micro.WORDS))


def test_large_labels_make_small_segments(
    language_source: Path, storage: Path, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = 3 * (micro.LENGTH - 1) * 32 * 2  # of three blocks of hidden states 32 wide in float16
    monkeypatch.setattr(teaching, "SEGMENT_BYTES", limit)
    pipeline = Pipeline(language_source, storage, context, softLabels={"kind": "hidden"})
    pipeline.label()
    records = [json.loads(path.read_text()) for path in storage.rglob("segments/*.json")]
    assert sum(record["rows"] for record in records) == pipeline.found.missing_rows
    largest_first = sorted((record["rows"] for record in records), reverse=True)
    assert largest_first[0] > 3 >= largest_first[-1]  # of short blocks more fit
    assert pipeline.label().labelled_rows == 0


def test_labels_above_a_segment_s_size_are_stored_row_by_row() -> None:
    assert list(teaching.in_segments(["a", "b", "c"], [2**28, 2**26, 2**26], 2048)) == [["a"], ["b", "c"]]
    assert list(teaching.in_segments(["a", "b", "c"], [1, 1, 1], 2)) == [["a", "b"], ["c"]]
    assert list(teaching.in_segments([], [], 2048)) == []


def test_grown_data_labels_only_its_new_blocks(
    language_source: Path, storage: Path, context: Context, tmp_path: Path
) -> None:
    Pipeline(language_source, storage, context).label()
    texts = [micro.document(seed, 25 + 5 * (seed % 5)) for seed in range(13)]
    pq.write_table(pa.table({"text": texts}), tmp_path / "grown.parquet")
    dataset = {"train": f"file://{tmp_path}/grown.parquet", "test": f"file://{language_source}/test.parquet"}
    grown = Pipeline(language_source, storage, context, dataset=dataset | {"sequenceLength": micro.LENGTH})
    assert grown.found.missing_rows == 3


def test_another_length_of_blocks_makes_another_student(language_source: Path, storage: Path, context: Context) -> None:
    first = Pipeline(language_source, storage, context).found
    dataset = {name: f"file://{language_source}/{name}.parquet" for name in ("train", "test")}
    other = Pipeline(language_source, storage, context, dataset=dataset | {"sequenceLength": 12}).found
    assert other.labels_key == first.labels_key
    assert other.student_key != first.student_key


def test_an_interrupted_training_ends_like_an_undisturbed_one(
    language_source: Path, tmp_path: Path, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = Pipeline(language_source, tmp_path / "undisturbed", context)
    undisturbed.label()
    whole = undisturbed.train("whole")
    disturbed = Pipeline(language_source, tmp_path / "disturbed", context)
    disturbed.label()
    step = Fit.train_step

    def stop_there(self: Any, *args: Any) -> None:
        step(self, *args)
        if self.standing.step == 7:
            context.stop.set()

    monkeypatch.setattr(Fit, "train_step", stop_there)
    with pytest.raises(Interrupted):
        disturbed.train("first")
    monkeypatch.setattr(Fit, "train_step", step)
    context.stop.clear()
    resumed = disturbed.train("second", attempt=2)
    assert resumed.resumed_from_step == 7
    assert resumed.validation_score == whole.validation_score


@pytest.mark.parametrize(
    ("fields", "reason", "words"),
    [
        pytest.param(
            {"objective": {"divergence": "reverse"}}, "BiasedSoftLabels", "divergence: reverse", id="reverse on samples"
        ),
        pytest.param(
            {"objective": {"temperature": 2}}, "BiasedSoftLabels", "objective.temperature: 2", id="another temperature"
        ),
        pytest.param(
            {"student": {"config": micro.CONFIG | {"hiddenSize": 64}}},
            "ModelUnsupported",
            "hiddenSize: 64 is more than the teacher's 32",
            id="a student wider than its teacher",
        ),
    ],
)
def test_what_is_wrong_is_found_before_anything_is_paid_for(
    fields: dict[str, Any], reason: str, words: str, language_source: Path, storage: Path, context: Context
) -> None:
    with pytest.raises(InputRefused, match=words) as caught:
        Pipeline(language_source, storage, context, **fields)
    assert caught.value.reason == reason


def test_blocks_longer_than_the_teacher_takes_are_refused(
    language_source: Path, storage: Path, context: Context
) -> None:
    dataset = micro.make_run("label", language_source, storage, labelsKey="sha256:" + "0" * 64).dataset.dump()
    with pytest.raises(InputRefused, match="sequenceLength: 65 tokens are more than the 64"):
        Pipeline(language_source, storage, context, dataset=dataset | {"sequenceLength": 65})


def test_one_held_out_document_is_too_few_for_an_interval(
    language_source: Path, storage: Path, context: Context, tmp_path: Path
) -> None:
    pq.write_table(pa.table({"text": [micro.document(500, 20)] * 2}), tmp_path / "test.parquet")
    dataset = {"train": f"file://{language_source}/train.parquet", "test": f"file://{tmp_path}/test.parquet"}
    with pytest.raises(InputRefused, match="all rows are one, or of one group") as caught:
        Pipeline(language_source, storage, context, dataset=dataset)
    assert caught.value.reason == "EmptyTestSet"


def test_held_out_documents_of_one_group_are_too_few_for_an_interval(
    language_source: Path, storage: Path, context: Context, tmp_path: Path
) -> None:
    for name, seeds in {"train": range(8), "test": range(100, 104)}.items():
        table = {"text": [micro.document(seed, 30) for seed in seeds], "author": [str(seed // 4) for seed in seeds]}
        pq.write_table(pa.table(table), tmp_path / f"{name}.parquet")
    dataset = {name: f"file://{tmp_path}/{name}.parquet" for name in ("train", "test")}
    with pytest.raises(InputRefused, match="all rows are one, or of one group") as caught:
        Pipeline(language_source, storage, context, dataset=dataset | {"columns": {"group": "author"}})
    assert caught.value.reason == "EmptyTestSet"


def test_a_document_in_both_files_is_refused(
    language_source: Path, storage: Path, context: Context, tmp_path: Path
) -> None:
    pq.write_table(pa.table({"text": [micro.document(500, 20), micro.document(0, 25)]}), tmp_path / "test.parquet")
    dataset = {"train": f"file://{language_source}/train.parquet", "test": f"file://{tmp_path}/test.parquet"}
    with pytest.raises(InputRefused, match="1 rows, the first in row 2"):
        Pipeline(language_source, storage, context, dataset=dataset)
