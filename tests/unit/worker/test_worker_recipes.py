"""Every kind of student and signal through preflight, label, train and compress on the micro task."""

import itertools
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import micro
import numpy as np
import pytest
import torch
from distillery_storage import open_prefix
from distillery_worker.artifacts.records import TrainRecord, read_record, student_prefix
from distillery_worker.context import Context
from distillery_worker.errors import InputRefused, Interrupted
from distillery_worker.losses.hidden_states import Projections
from distillery_worker.stages.compress import compress
from distillery_worker.stages.label import label
from distillery_worker.stages.preflight import preflight
from distillery_worker.stages.train import train
from distillery_worker.training.fitting import Fit
from distillery_worker.training.learner import Learner
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification, BertConfig, BertModel

NARROW = {"config": {"hiddenSize": 8, "layers": 2, "attentionHeads": 2, "intermediateSize": 8}}
FROM = {"from": {"layers": [1]}}
HIDDEN = {"hiddenStates": {"layers": [{"teacher": 1, "student": 2}], "weight": 0.5}}
ATTENTION = {"attention": {"teacherLayer": 1, "relationHeads": 4, "weight": 0.5}}
SHORT = micro.TRAINING | {"epochs": 1, "checkpointEverySteps": 3}
RECIPES: dict[str, dict[str, Any]] = {
    "hidden states through a projection": {"student": NARROW, "objective": HIDDEN},
    "attention relations across widths": {"student": NARROW, "objective": ATTENTION},
    "adapters with dropout": {"student": FROM | {"lora": {"rank": 2, "dropout": 0.3}}, "objective": {}},
    "adapters and hidden states": {
        "student": FROM | {"lora": {"rank": 2, "targets": ["query", "value"]}},
        "objective": {"hiddenStates": {"layers": [{"teacher": 1, "student": 1}]}},
    },
    "reverse divergence, teacher mistakes masked": {
        "student": NARROW,
        "objective": {"divergence": "reverse", "maskTeacherMistakes": True},
    },
}


class Distilling:
    """A storage prefix, and the stages on it."""

    def __init__(self, source: Path, storage: Path, context: Context) -> None:
        self.source, self.storage, self.context = source, storage, context
        self.attempts = itertools.count(1)

    def prepare(self, recipe: dict[str, Any]) -> dict[str, str]:
        """Preflight and label; the keys that train needs."""
        found = preflight(micro.make_run("preflight", self.source, self.storage, **recipe), self.context)
        label(micro.make_run("label", self.source, self.storage, labelsKey=found.labels_key), self.context)
        return {"labelsKey": found.labels_key, "studentKey": found.student_key}

    def train(self, recipe: dict[str, Any], keys: dict[str, str]) -> TrainRecord:
        """A further attempt at training."""
        attempt = next(self.attempts)
        run = micro.make_run("train", self.source, self.storage, attempt=attempt, **recipe, **keys)
        train(run, replace(self.context, workdir=self.context.workdir / f"train-{attempt}"))
        record = read_record(student_prefix(open_prefix(f"file://{self.storage}"), keys["studentKey"]))
        assert record is not None
        return record

    def run(self, recipe: dict[str, Any]) -> TrainRecord:
        recipe = {"training": SHORT} | recipe
        return self.train(recipe, self.prepare(recipe))

    def folder(self, record: TrainRecord) -> Path:
        return self.storage / "students" / record.student_key.removeprefix("sha256:") / record.student.folder

    def weights(self, record: TrainRecord) -> dict[str, torch.Tensor]:
        return dict(load_file(self.folder(record) / "model.safetensors"))


@pytest.fixture
def distilling(source: Path, tmp_path: Path, context: Context) -> Callable[[str], Distilling]:
    return lambda name: Distilling(source, tmp_path / name, context)


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_an_interrupted_training_ends_like_an_undisturbed_one(
    recipe: dict[str, Any],
    distilling: Callable[[str], Distilling],
    context: Context,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    undisturbed, disturbed = distilling("undisturbed"), distilling("disturbed")
    whole = undisturbed.run(recipe)
    step = Fit.train_step

    def stop_there(self: Fit, *args: Any) -> None:
        step(self, *args)
        if self.standing.step == 4:
            context.stop.set()

    recipe = {"training": SHORT} | recipe
    keys = disturbed.prepare(recipe)
    with monkeypatch.context() as patch:
        patch.setattr(Fit, "train_step", stop_there)
        with pytest.raises(Interrupted, match="step 4 of"):
            disturbed.train(recipe, keys)
    context.stop.clear()
    resumed = disturbed.train(recipe, keys)
    assert resumed.resumed_from_step == 4
    assert resumed.student.validation_score == whole.student.validation_score
    again = disturbed.weights(resumed)
    for name, tensor in undisturbed.weights(whole).items():
        np.testing.assert_array_equal(again[name], tensor, err_msg=name)


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_an_artifact_holds_the_student_and_nothing_that_only_trained_it(
    recipe: dict[str, Any], distilling: Callable[[str], Distilling], context: Context
) -> None:
    run = distilling("storage")
    record = run.run(recipe)
    names = set(run.weights(record))
    assert not {name for name in names if "lora" in name or "maps" in name or "base_layer" in name}
    assert record.student.parameters == sum(tensor.numel() for tensor in run.weights(record).values())
    keys = {"labelsKey": record.labels_key, "studentKey": record.student_key}
    result = compress(micro.make_run("compress", run.source, run.storage, **keys), context)
    assert result.max_abs_difference < 1e-4


@pytest.mark.parametrize("signal", [HIDDEN, ATTENTION], ids=["hidden states", "attention relations"])
def test_a_signal_reaches_the_student_and_not_its_control(
    signal: dict[str, Any], distilling: Callable[[str], Distilling]
) -> None:
    training = SHORT | {"control": {"learningRate": 0.02}}
    plain, taught = distilling("plain"), distilling("taught")
    without = plain.run({"student": NARROW, "objective": {}, "training": training})
    record = taught.run({"student": NARROW, "objective": signal, "training": training})
    assert without.control is not None
    assert record.control is not None
    assert without.student.initial_weights == record.student.initial_weights == record.control.initial_weights
    assert without.control.files["model.safetensors"] == record.control.files["model.safetensors"]
    assert without.student.files["model.safetensors"] != record.student.files["model.safetensors"]


def test_projections_are_trained_and_checkpointed(distilling: Callable[[str], Distilling]) -> None:
    run = distilling("storage")
    run.run({"student": NARROW, "objective": HIDDEN})
    state = load_file(next(run.storage.rglob("checkpoints/student/0/state.safetensors")))
    initial = Projections([(8, 16)], seed=0).maps[0].weight
    assert not torch.allclose(state["trained/projections.maps.0.weight"], initial)


def test_a_batch_that_does_not_fit_into_memory_goes_through_in_parts(
    distilling: Callable[[str], Distilling], monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = {"student": NARROW, "objective": HIDDEN | ATTENTION}
    roomy, tight = distilling("roomy"), distilling("tight")
    whole = roomy.run(recipe)
    loss = Learner.loss

    def small_memory(self: Learner, model: Any, batch: Any, rows: Any) -> torch.Tensor:
        if len(rows) > 5:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return loss(self, model, batch, rows)

    monkeypatch.setattr(Learner, "loss", small_memory)
    parts = tight.run(recipe)
    assert (whole.student.micro_batch, parts.student.micro_batch) == (16, 4)
    apart = [float((tight.weights(parts)[name] - tensor).abs().max()) for name, tensor in roomy.weights(whole).items()]
    assert max(apart) < 1e-3


def test_memory_that_does_not_hold_one_row_ends_the_training(
    distilling: Callable[[str], Distilling], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_memory(*_: Any) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Learner, "loss", no_memory)
    with pytest.raises(torch.OutOfMemoryError):
        distilling("storage").run({"student": NARROW})


def write_model(folder: Path, source: Path, model: Any) -> Path:
    """A model beside a copy of the teacher's tokenizer."""
    folder.mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(source / "teacher" / name, folder / name)
    model.save_pretrained(folder)
    return folder


def encoder() -> BertModel:
    torch.manual_seed(1)
    return BertModel(
        BertConfig(vocab_size=19, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8)
    )


def test_an_encoder_without_head_is_trained_and_its_key_is_of_its_content(
    source: Path, tmp_path: Path, distilling: Callable[[str], Distilling], context: Context
) -> None:
    run = distilling("storage")
    first, second = (write_model(tmp_path / name, source, encoder()) for name in ("first", "second"))
    long = micro.TRAINING | {"epochs": 8}
    record = run.run({"student": {"model": {"uri": f"file://{first}"}}, "training": long})
    assert record.student.validation_score > 0.5
    found = preflight(
        micro.make_run("preflight", source, run.storage, student={"model": {"uri": f"file://{second}"}}, training=long),
        context,
    )
    assert found.student_key == record.student_key
    assert found.student_model_digest is not None


def test_a_student_of_the_teachers_layers_starts_from_its_weights(
    source: Path, distilling: Callable[[str], Distilling]
) -> None:
    run = distilling("storage")
    record = run.run({"student": FROM, "training": SHORT | {"learningRate": 1e-9}})
    teacher = AutoModelForSequenceClassification.from_pretrained(source / "teacher").state_dict()
    for name, tensor in run.weights(record).items():
        torch.testing.assert_close(tensor, teacher[name], atol=1e-6, rtol=0)
    assert record.student.validation_score == 1.0


def other_tokenizer(folder: Path) -> None:
    content = json.loads((folder / "tokenizer.json").read_text())
    content["model"]["vocab"] = dict(zip(content["model"]["vocab"], reversed(range(19)), strict=True))
    (folder / "tokenizer.json").write_text(json.dumps(content))


def padded_tokenizer(folder: Path) -> None:
    content = json.loads((folder / "tokenizer.json").read_text())
    content["truncation"] = {"max_length": 5, "strategy": "LongestFirst", "stride": 0, "direction": "Right"}
    (folder / "tokenizer.json").write_text(json.dumps(content))


def no_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


@pytest.mark.parametrize(
    ("spoil", "reason", "words"),
    [
        pytest.param(other_tokenizer, "TokenizerMismatch", "the teacher's tokenizer", id="other tokens"),
        pytest.param(no_weights, "ModelUnsupported", r"student\.model: .*no \.safetensors", id="no weights"),
    ],
)
def test_a_model_that_cannot_be_a_student_is_refused(
    spoil: Callable[[Path], None],
    reason: str,
    words: str,
    source: Path,
    storage: Path,
    tmp_path: Path,
    context: Context,
) -> None:
    folder = write_model(tmp_path / "model", source, encoder())
    spoil(folder)
    with pytest.raises(InputRefused, match=words) as caught:
        preflight(micro.make_run("preflight", source, storage, student={"model": {"uri": f"file://{folder}"}}), context)
    assert caught.value.reason == reason


def test_settings_of_the_tokenizer_that_the_worker_sets_itself_do_not_matter(
    source: Path, storage: Path, tmp_path: Path, context: Context
) -> None:
    folder = write_model(tmp_path / "model", source, encoder())
    padded_tokenizer(folder)
    preflight(micro.make_run("preflight", source, storage, student={"model": {"uri": f"file://{folder}"}}), context)


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        ({"student": {"from": {"layers": [2]}}}, r"student\.from\.layers: there is no layer 2 in a model of 1"),
        ({"student": FROM | {"lora": {"targets": ["wq"]}}}, "no linear module wq"),
        (
            {"objective": {"hiddenStates": {"layers": [{"teacher": 1, "student": 9}]}}},
            r"hiddenStates\.layers\[\]\.student: there is no layer 9",
        ),
        ({"objective": {"attention": {"teacherLayer": 4, "relationHeads": 2}}}, "there is no layer 4"),
        ({"objective": {"attention": {"teacherLayer": 1, "relationHeads": 3}}}, "3 does not divide the student's 16"),
    ],
)
def test_preflight_refuses_what_training_could_not_do(
    recipe: dict[str, Any], words: str, source: Path, storage: Path, context: Context
) -> None:
    with pytest.raises(InputRefused, match=words):
        preflight(micro.make_run("preflight", source, storage, **recipe), context)
