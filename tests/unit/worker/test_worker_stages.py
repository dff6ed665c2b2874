"""Labelling, training, compressing and evaluating a micro task, and what survives an interruption."""

import json
import re
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import micro
import numpy as np
import pyarrow.parquet as pq
import pytest
from distillery.__main__ import main as gate_again
from distillery_api.distillationjob_status import VerdictStatus
from distillery_api.gate import GateSpec
from distillery_api.summary import PreflightResult
from distillery_engine import TextModel
from distillery_storage import Unavailable, fetch_artifact, open_prefix
from distillery_worker.artifacts.records import read_record, student_prefix
from distillery_worker.context import Context
from distillery_worker.errors import InputRefused, Interrupted
from distillery_worker.labels.store import LabelStore
from distillery_worker.stages.compress import compress
from distillery_worker.stages.evaluate import evaluate
from distillery_worker.stages.label import label
from distillery_worker.stages.preflight import preflight
from distillery_worker.stages.train import train
from distillery_worker.teachers.teacher import BatchTeacher
from distillery_worker.training.fitting import Fit
from safetensors.torch import load_file

GATE = {"minRetention": 0.8, "incumbentMargin": 0.05}


class Pipeline:
    """The stages of one job, run in this process."""

    def __init__(self, source: Path, storage: Path, context: Context) -> None:
        self.source, self.storage, self.context = source, storage, context
        self.keys: PreflightResult = preflight(micro.make_run("preflight", source, storage), context)

    def label(self, shard: int = 0, **fields: Any) -> Any:
        run = micro.make_run("label", self.source, self.storage, labelsKey=self.keys.labels_key, **fields)
        return label(run, replace(self.context, shard=shard))

    def train(self, workdir: str = "train", **fields: Any) -> Any:
        keys = {"labelsKey": self.keys.labels_key, "studentKey": self.keys.student_key}
        run = micro.make_run("train", self.source, self.storage, **keys, **fields)
        return train(run, replace(self.context, workdir=self.context.workdir / workdir))

    def compress(self, uid: str = "uid-1") -> Any:
        keys = {"labelsKey": self.keys.labels_key, "studentKey": self.keys.student_key}
        job = {"namespace": "team", "name": "animals", "uid": uid}
        run = micro.make_run("compress", self.source, self.storage, job=job, **keys)
        return compress(run, replace(self.context, workdir=self.context.workdir / uid))

    def evaluate(self, artifact: dict[str, str], **fields: Any) -> VerdictStatus:
        run = micro.make_run(
            "evaluate",
            self.source,
            self.storage,
            artifact=artifact,
            **{"studentKey": self.keys.student_key, "gate": GATE} | fields,
        )
        return evaluate(run, self.context)

    def weights(self) -> dict[str, Any]:
        prefix = student_prefix(open_prefix(f"file://{self.storage}"), self.keys.student_key)
        record = read_record(prefix)
        assert record is not None
        path = Path(prefix.uri.removeprefix("file://")) / record.student.folder / "model.safetensors"
        return {name: tensor.numpy() for name, tensor in load_file(path).items()}


def step_of(checkpoint: Path) -> int:
    """How far a checkpoint is."""
    return int(json.loads(checkpoint.read_text())["standing"]["step"])


@pytest.fixture
def pipeline(source: Path, storage: Path, context: Context) -> Pipeline:
    return Pipeline(source, storage, context)


def test_shards_cover_every_row_once_and_a_second_run_finds_them_all(pipeline: Pipeline) -> None:
    shards = {"softLabels": {"shards": 3}}
    first = [pipeline.label(shard, **shards) for shard in range(3)]
    assert sum(result.labelled_rows for result in first) == 140
    assert all(result.labelled_rows > 20 for result in first)
    again = [pipeline.label(shard, **shards) for shard in range(3)]
    assert sum(result.labelled_rows for result in again) == 0
    assert sum(result.reused_rows for result in again) == 140


@pytest.mark.parametrize("segment", [0, 1, 2])
def test_a_killed_shard_keeps_its_segments(segment: int, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BatchTeacher, "segment_rows", 32)
    append, begun = LabelStore.append, count()

    def stop_in(self: LabelStore, *args: Any) -> None:
        if next(begun) == segment:
            pipeline.context.stop.set()
        append(self, *args)

    monkeypatch.setattr(LabelStore, "append", stop_in)
    with pytest.raises(Interrupted, match=r"\d+ of 140 rows are stored") as caught:
        pipeline.label()
    said = int(re.findall(r"(\d+) of 140", caught.value.message)[0])
    assert said >= 32 * (segment + 1)
    pipeline.context.stop.clear()
    result = pipeline.label()
    assert (result.labelled_rows, result.reused_rows) == (140 - said, said)


def test_a_segment_that_cannot_be_stored_ends_the_labelling(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BatchTeacher, "segment_rows", 32)
    append, begun = LabelStore.append, count()

    def away(self: LabelStore, *args: Any) -> None:
        if next(begun) == 1:
            raise Unavailable("storage is away")
        append(self, *args)

    monkeypatch.setattr(LabelStore, "append", away)
    with pytest.raises(Unavailable, match="storage is away"):
        pipeline.label()
    assert next(begun) == 2  # the segment before is stored, and none after
    assert pipeline.label().reused_rows == 32


def test_a_teacher_that_changed_since_preflight_labels_nothing(pipeline: Pipeline) -> None:
    with pytest.raises(InputRefused, match="changed after preflight"):
        label(
            micro.make_run("label", pipeline.source, pipeline.storage, labelsKey="sha256:" + "1" * 64), pipeline.context
        )


def test_training_needs_soft_labels(pipeline: Pipeline) -> None:
    with pytest.raises(InputRefused, match="140 of 140 rows") as caught:
        pipeline.train()
    assert caught.value.reason == "LabelsMissing"


@pytest.mark.parametrize("stop_at", [3, 17])
def test_an_interrupted_training_ends_like_an_undisturbed_one(
    stop_at: int, source: Path, tmp_path: Path, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = Pipeline(source, tmp_path / "undisturbed", context)
    undisturbed.label()
    whole = undisturbed.train("whole")
    disturbed = Pipeline(source, tmp_path / "disturbed", context)
    disturbed.label()
    step = Fit.train_step

    def stop_there(self: Fit, *args: Any) -> None:
        step(self, *args)
        if self.standing.step == stop_at:
            context.stop.set()

    monkeypatch.setattr(Fit, "train_step", stop_there)
    with pytest.raises(Interrupted, match=f"step {stop_at} of {whole.steps} is checkpointed"):
        disturbed.train("first")
    monkeypatch.setattr(Fit, "train_step", step)
    context.stop.clear()
    resumed = disturbed.train("second", attempt=2)
    assert resumed.resumed_from_step == stop_at
    assert resumed.validation_score == whole.validation_score
    for name, tensor in undisturbed.weights().items():
        np.testing.assert_array_equal(disturbed.weights()[name], tensor, err_msg=name)


def test_a_killed_training_goes_on_from_the_newest_whole_checkpoint(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.label()
    step = Fit.train_step

    def die(self: Fit, *args: Any) -> None:
        if self.standing.step == 13:
            raise KeyboardInterrupt  # like SIGKILL, it leaves no time to write anything
        step(self, *args)

    monkeypatch.setattr(Fit, "train_step", die)
    with pytest.raises(KeyboardInterrupt):
        pipeline.train("first")
    monkeypatch.setattr(Fit, "train_step", step)
    newest = max(pipeline.storage.rglob("checkpoint.json"), key=step_of)
    assert step_of(newest) == 10
    newest.with_name("state.safetensors").write_bytes(b"half written")
    assert pipeline.train("second", attempt=2).resumed_from_step == 5


def test_a_published_student_is_only_reported(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline.label()
    first = pipeline.train("first")
    monkeypatch.delattr(Fit, "train_step")
    assert pipeline.train("second", attempt=2) == first


def test_the_whole_run_ends_in_a_verdict_that_can_be_taken_again(pipeline: Pipeline) -> None:
    pipeline.label()
    slow = {"epochs": 12, "learningRate": 0.01, "control": {"learningRate": 0.01}}
    trained = pipeline.train(training=micro.TRAINING | slow)
    made = pipeline.compress()
    assert made.max_abs_difference < 1e-4
    artifact = {"uri": made.artifact_uri, "digest": made.artifact_digest}
    verdict = pipeline.evaluate(artifact, incumbent=artifact)

    assert verdict.result == "Pass"
    assert [criterion.name for criterion in verdict.criteria] == ["retention", "incumbent"]
    assert {model.name for model in verdict.measured} == {"teacher", "student", "incumbent", "control"}
    student = next(model for model in verdict.measured if model.name == "student")
    assert student.parameters == trained.parameters
    assert all(model.p50_ms is not None for model in verdict.measured)
    assert verdict.gate_hash == GateSpec.model_validate(GATE).hash
    assert verdict.artifact_digest == verdict.incumbent_digest == made.artifact_digest

    report = json.loads(Path(verdict.report_uri.removeprefix("file://")).read_text())
    items = pq.read_table(report["items"]["uri"].removeprefix("file://")).to_pydict()
    accuracy = np.mean([answer == gold for answer, gold in zip(items["student"], items["gold"], strict=True)])
    assert accuracy == student.value
    assert report["training"]["control"]["steps"] == report["training"]["student"]["steps"] == trained.steps
    assert report["training"]["control"]["passes"] > report["training"]["student"]["passes"]
    measured = report["training"]["student"].keys() - report["training"]["control"].keys()
    assert measured == {"initialDivergence", "signal"}

    assert gate_again(["gate", verdict.report_uri]) == 0
    assert len(report["costs"]["latencyMs"]) == 200
    assert "memoryBytes" not in report["costs"]  # nothing asks for it
    again = pipeline.evaluate(artifact, incumbent=artifact, attempt=2)
    stricter = pipeline.evaluate(artifact, incumbent=artifact, attempt=3, gate=GATE | {"minRetention": 0.85})
    assert [each.look for each in (verdict, again, stricter)] == [1, 1, 2]
    assert gate_again(["gate", stricter.report_uri]) == 0

    (Path(verdict.report_uri.removeprefix("file://")).parent / "items.parquet").unlink()
    assert pipeline.evaluate(artifact, incumbent=artifact) == verdict  # published once, then only reported


def test_a_gate_by_macro_f1_judges_what_the_items_record(pipeline: Pipeline) -> None:
    pipeline.label()
    pipeline.train()
    made = pipeline.compress()
    artifact = {"uri": made.artifact_uri, "digest": made.artifact_digest}
    gate = GATE | {"metric": "macroF1", "minF1": 0.1, "minAccuracy": 0.1, "maxNegativeFlips": 0.9}
    verdict = pipeline.evaluate(artifact, incumbent=artifact, gate=gate)
    names = ["retention", "incumbent", "minAccuracy", "minF1", "negativeFlips"]
    assert [each.name for each in verdict.criteria] == names
    assert gate_again(["gate", verdict.report_uri]) == {"Pass": 0, "Fail": 1, "Inconclusive": 2}[verdict.result]
    assert {each.metric for each in verdict.measured} == {"macro F1"}


def test_a_verdict_that_extends_looks_at_no_more_rows_than_it_needs(pipeline: Pipeline) -> None:
    pipeline.label()
    pipeline.train()
    made = pipeline.compress()
    artifact = {"uri": made.artifact_uri, "digest": made.artifact_digest}
    extend = {"onInconclusive": "Extend", "firstRows": 100}
    clear = pipeline.evaluate(artifact, gate={"minRetention": 0.1} | extend)
    undecided = pipeline.evaluate(
        artifact, incumbent=artifact, attempt=2, gate={"minRetention": 0.1, "incumbentMargin": 0.0} | extend
    )
    assert [clear.result, undecided.result] == ["Pass", "Inconclusive"]
    reports = [json.loads(Path(each.report_uri.removeprefix("file://")).read_text()) for each in (clear, undecided)]
    assert [report["verdict"]["look"] for report in reports] == [
        {"number": 1, "shares": [0.5]}, {"number": 2, "shares": [0.5, 1.0]},
    ]  # fmt: skip
    few, all_rows = (pq.read_table(report["items"]["uri"].removeprefix("file://")).to_pydict() for report in reports)
    assert (len(few["item"]), sorted(all_rows["item"])) == (100, list(range(200)))
    assert all_rows["item"][:100] == few["item"] != list(range(100))
    assert [gate_again(["gate", each.report_uri]) for each in (clear, undecided)] == [0, 2]


def test_ceilings_are_judged_on_the_artifact_and_again_from_the_report(pipeline: Pipeline) -> None:
    pipeline.label()
    pipeline.train()
    made = pipeline.compress()
    cost = {
        "maxP99Ms": 1e6, "maxArtifactBytes": 10, "maxMemoryBytes": "64Gi", "minMeasurements": 500,
        "price": {"coreHour": 1e-6, "maxPerMillion": 1e9},
    }  # fmt: skip
    verdict = pipeline.evaluate(
        {"uri": made.artifact_uri, "digest": made.artifact_digest}, gate={"minRetention": 0.01, "cost": cost}
    )
    found = {each.name: each for each in verdict.criteria}
    sizes = [path.stat().st_size for path in Path(made.artifact_uri.removeprefix("file://")).iterdir()]
    assert {name: each.verdict for name, each in found.items() if name != "retention"} == {
        "latencyP99": "Pass", "artifactBytes": "Fail", "memoryBytes": "Pass", "costPerMillion": "Pass",
    }  # fmt: skip
    assert found["artifactBytes"].value < sum(sizes)  # which has the manifest, too
    report = json.loads(Path(verdict.report_uri.removeprefix("file://")).read_text())
    assert found["memoryBytes"].value == report["costs"]["memoryBytes"]
    assert len(report["costs"]["latencyMs"]) == len(report["costs"]["cpuMs"]) == found["latencyP99"].items == 500
    assert report["costs"]["inputs"] == 200
    assert report["costs"]["measuredOn"]["engine"].startswith("ONNX Runtime 1.")
    assert gate_again(["gate", verdict.report_uri]) == 1


def test_another_job_with_the_same_student_gets_the_same_artifact(pipeline: Pipeline, tmp_path: Path) -> None:
    pipeline.label()
    pipeline.train()
    made = pipeline.compress("uid-1")
    assert pipeline.compress("uid-2") == made
    manifest = fetch_artifact(made.artifact_uri, made.artifact_digest, tmp_path / "artifact")
    assert manifest.labels == micro.ANIMALS
    classifier = TextModel(tmp_path / "artifact", manifest)
    texts = [text for text, _ in micro.sentences()[:5]]
    together, alone = classifier.outputs(texts), np.concatenate([classifier.outputs([text]) for text in texts])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_an_artifact_of_another_student_is_not_judged(pipeline: Pipeline) -> None:
    pipeline.label()
    pipeline.train()
    made = pipeline.compress()
    artifact = {"uri": made.artifact_uri, "digest": made.artifact_digest}
    with pytest.raises(InputRefused) as caught:
        pipeline.evaluate(artifact, studentKey="sha256:" + "2" * 64)
    assert caught.value.reason == "ArtifactMismatch"
