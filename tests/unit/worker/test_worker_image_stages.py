"""All stages of a micro image task, labelled in views."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import micro_images
import numpy as np
import pytest
from distillery_api.artifact import ImagePreprocessing
from distillery_api.digests import digest_of
from distillery_api.summary import PreflightResult
from distillery_engine import open_model
from distillery_storage import fetch_artifact, open_prefix
from distillery_worker.context import Context
from distillery_worker.data.images import image_key
from distillery_worker.data.views import View
from distillery_worker.errors import InputRefused, Interrupted
from distillery_worker.labels.store import LabelStore
from distillery_worker.stages.compress import compress
from distillery_worker.stages.evaluate import evaluate
from distillery_worker.stages.label import label
from distillery_worker.stages.preflight import preflight
from distillery_worker.stages.train import train
from distillery_worker.tasks.registry import TASKS
from distillery_worker.teachers.panel import fetch_panel
from distillery_worker.training.examples import collect
from distillery_worker.training.fitting import Fit


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """train, unlabelled and test.parquet and teacher/; read only."""
    folder = tmp_path_factory.mktemp("images")
    micro_images.write_data(folder)
    micro_images.write_teacher(folder / "teacher")
    return folder


class Pipeline:
    """The stages of one job, run in this process."""

    def __init__(self, source: Path, storage: Path, context: Context, **fields: Any) -> None:
        self.source, self.storage, self.context = source, storage, context
        self.fields = {"softLabels": micro_images.VIEWS} | fields
        self.keys: PreflightResult = self.run("preflight", preflight)

    def run(self, stage: str, work: Any, workdir: str = ".", **fields: Any) -> Any:
        made = micro_images.make_run(stage, self.source, self.storage, **self.fields, **fields)
        return work(made, replace(self.context, workdir=self.context.workdir / workdir))

    def store(self) -> LabelStore:
        run = micro_images.make_run("preflight", self.source, self.storage, **self.fields)
        return fetch_panel(run, self.context).members[0].store(open_prefix(f"file://{self.storage}"))

    def label(self) -> Any:
        return self.run("label", label, labelsKey=self.keys.labels_key)

    def train(self, workdir: str = "train", **fields: Any) -> Any:
        keys = {"labelsKey": self.keys.labels_key, "studentKey": self.keys.student_key}
        return self.run("train", train, workdir, **keys, **fields)

    def compress(self) -> Any:
        keys = {"labelsKey": self.keys.labels_key, "studentKey": self.keys.student_key}
        return self.run("compress", compress, **keys)


@pytest.fixture
def pipeline(source: Path, storage: Path, context: Context) -> Pipeline:
    return Pipeline(source, storage, context)


def test_every_view_is_labelled_once_under_the_image_and_its_number(pipeline: Pipeline) -> None:
    assert pipeline.keys.rows == {"train": 30, "unlabelled": 60, "test": 150}
    assert pipeline.keys.missing_rows == 180
    assert pipeline.label().labelled_rows == 180
    assert Pipeline(pipeline.source, pipeline.storage, pipeline.context).keys.rechecked_rows == 8
    store = pipeline.store()
    first = image_key(micro_images.images(1)[0][0])
    assert {f"{first}/0", f"{first}/1"} < store.keys()
    described = json.loads(store.prefix.read("codec.json"))
    assert described["augmentation"] == {"shift": 2, "horizontalFlip": True, "seed": 0}
    assert described["preprocessing"] == micro_images.preprocessing().dump()


def test_more_views_label_only_the_new_ones_and_another_seed_all(pipeline: Pipeline) -> None:
    pipeline.label()
    soft_labels = micro_images.VIEWS | {"views": 3}
    more = Pipeline(pipeline.source, pipeline.storage, pipeline.context, softLabels=soft_labels).keys
    assert (more.labels_key, more.missing_rows) == (pipeline.keys.labels_key, 90)
    assert more.student_key != pipeline.keys.student_key
    seeded = {"views": 2, "augmentation": micro_images.VIEWS["augmentation"] | {"seed": 1}}
    other = Pipeline(pipeline.source, pipeline.storage, pipeline.context, softLabels=seeded).keys
    assert (other.labels_key != pipeline.keys.labels_key, other.missing_rows) == (True, 180)


def test_filters_drop_an_image_with_all_of_its_views(
    source: Path, storage: Path, context: Context, tmp_path: Path
) -> None:
    rows = micro_images.images(30)
    wrong = [(image, "checks" if label != "checks" else "down") for image, label in micro_images.images(40)[30:]]
    micro_images.write_rows(tmp_path / "train.parquet", [*rows, rows[0], *wrong])
    dataset = {"train": f"file://{tmp_path}/train.parquet", "test": f"file://{source}/test.parquet"}
    dataset |= {"filters": {"dedupe": {}, "teacherMistakes": "Drop"}}
    pipeline = Pipeline(source, storage, context, dataset=dataset)
    assert pipeline.keys.dropped_rows == {"duplicates": 1}
    assert pipeline.label().labelled_rows == 80
    trained = pipeline.train()
    assert trained.dropped_rows["duplicates"] == 1
    assert trained.dropped_rows["teacherMistakes"] >= 5


def test_the_student_is_shown_what_the_teacher_was_asked_about_epoch_by_epoch(pipeline: Pipeline) -> None:
    pipeline.label()
    run = micro_images.make_run(
        "train", pipeline.source, pipeline.storage, softLabels=micro_images.VIEWS,
        labelsKey=pipeline.keys.labels_key, studentKey=pipeline.keys.student_key,
    )  # fmt: skip
    task = TASKS["image-classification"]
    panel = fetch_panel(run, pipeline.context)
    storage = open_prefix(f"file://{pipeline.storage}")
    teacher, lookup = panel.local, partial(panel.stored, storage, pipeline.context.folder("labels"), None)
    train_rows, unlabelled = (
        task.load_rows(uri, "train", run.dataset.columns, head, pipeline.context.folder("data"))
        for uri, head in ((run.dataset.train, teacher.head), (run.dataset.unlabelled, None))
    )
    views = task.views(run.soft_labels, teacher)
    split = collect(train_rows, unlabelled, teacher.encoder, panel.head, lookup, views, seed=0)
    seen = [split.learn.seen_in(epoch) for epoch in range(3)]
    assert seen[0].rows == seen[2].rows != seen[1].rows
    for examples in seen:
        answers = teacher.answers(examples.rows, lambda rows: None)
        np.testing.assert_allclose(answers, examples.teacher.numpy(), atol=1e-5)
    assert all(row == View(row.image) for row in split.validation.rows)


def test_the_whole_run_ends_in_a_verdict(pipeline: Pipeline, tmp_path: Path) -> None:
    pipeline.label()
    trained = pipeline.train(training=micro_images.TRAINING | {"epochs": 12, "control": {"learningRate": 0.01}})
    made = pipeline.compress()
    assert made.max_abs_difference < 1e-4
    artifact = {"uri": made.artifact_uri, "digest": made.artifact_digest}
    verdict = pipeline.run(
        "evaluate", evaluate, artifact=artifact, incumbent=artifact, studentKey=pipeline.keys.student_key,
        gate={"minRetention": 0.8, "incumbentMargin": 0.05},
    )  # fmt: skip
    assert verdict.result == "Pass"
    assert {model.name for model in verdict.measured} == {"teacher", "student", "incumbent", "control"}
    assert {model.parameters for model in verdict.measured if model.name != "teacher"} == {trained.parameters}

    manifest = fetch_artifact(made.artifact_uri, made.artifact_digest, tmp_path / "artifact")
    assert isinstance(manifest.preprocessing, ImagePreprocessing)
    assert set(manifest.files) == {"model.onnx"}
    engine = open_model(tmp_path / "artifact", manifest)
    rows = micro_images.images(30)
    named = [manifest.labels[index] for index in engine.outputs([image for image, _ in rows]).argmax(axis=1)]
    assert np.mean([name == label for name, (_, label) in zip(named, rows, strict=True)]) > 0.8
    assert made.interface == digest_of(
        {"task": "image-classification", "labels": micro_images.PATTERNS, "height": 12, "width": 12, "channels": 1}
    )


def test_an_interrupted_training_ends_like_an_undisturbed_one(
    source: Path, tmp_path: Path, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = Pipeline(source, tmp_path / "undisturbed", context)
    undisturbed.label()
    whole = undisturbed.train("whole")
    disturbed = Pipeline(source, tmp_path / "disturbed", context)
    disturbed.label()
    step = Fit.train_step

    def stop_there(self: Fit, *args: Any) -> None:
        step(self, *args)
        if self.standing.step == 13:  # in the middle of an epoch, which shows the second view
            context.stop.set()

    monkeypatch.setattr(Fit, "train_step", stop_there)
    with pytest.raises(Interrupted):
        disturbed.train("first")
    monkeypatch.setattr(Fit, "train_step", step)
    context.stop.clear()
    assert disturbed.train("second", attempt=2).resumed_from_step == 13
    ends = [next((tmp_path / name).rglob("student/model.safetensors")) for name in ("undisturbed", "disturbed")]
    assert ends[0].read_bytes() == ends[1].read_bytes()
    assert whole.resumed_from_step == 0


def test_without_an_augmentation_images_are_labelled_as_they_are(source: Path, storage: Path, context: Context) -> None:
    plain = Pipeline(source, storage, context, softLabels={})
    assert plain.keys.missing_rows == 90
    plain.label()
    assert image_key(micro_images.images(1)[0][0]) in plain.store().keys()  # noqa: SIM118 - not a dict's


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        pytest.param({"softLabels": {"augmentation": {"shift": 6}}}, "shift: 6 is half or more", id="moves too far"),
        pytest.param({"student": {"imageConfig": {"channels": [4] * 5}}}, "5 stages halve", id="too many stages"),
    ],
)
def test_a_job_that_does_not_fit_its_images_is_refused(
    fields: dict[str, Any], problem: str, source: Path, storage: Path, context: Context
) -> None:
    with pytest.raises(InputRefused, match=problem) as caught:
        Pipeline(source, storage, context, **fields)
    assert caught.value.reason == "ModelUnsupported"
