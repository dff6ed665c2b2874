"""Preflight: keys that name content, rows still to label, and a reason for everything that is wrong."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import micro
import pytest
from distillery_storage import DigestMismatch
from distillery_worker.context import Context
from distillery_worker.errors import InputRefused
from distillery_worker.stages.label import label
from distillery_worker.stages.preflight import preflight
from safetensors.torch import load_file, save_file


@pytest.fixture
def copy(source: Path, tmp_path: Path) -> Path:
    """The source folder, to be spoilt."""
    return Path(shutil.copytree(source, tmp_path / "copy"))


def check(source: Path, storage: Path, context: Context, **fields: object) -> object:
    return preflight(micro.make_run("preflight", source, storage, **fields), context)


def test_all_rows_are_missing_at_first_and_none_once_labelled(source: Path, storage: Path, context: Context) -> None:
    first = check(source, storage, context)
    assert first.rows == {"train": 40, "unlabelled": 100, "test": 200}
    assert first.missing_rows == 140
    label(micro.make_run("label", source, storage, labelsKey=first.labels_key), context)
    again = check(source, storage, context)
    assert again.missing_rows == 0
    assert (again.labels_key, again.student_key) == (first.labels_key, first.student_key)


def test_grown_data_keeps_the_labels_key_and_misses_only_its_new_rows(
    copy: Path, storage: Path, context: Context
) -> None:
    first = check(copy, storage, context)
    label(micro.make_run("label", copy, storage, labelsKey=first.labels_key), context)
    micro.write_rows(copy / "train.parquet", micro.sentences()[:40] + micro.sentences()[340:350])
    grown = check(copy, storage, context)
    assert grown.missing_rows == 10
    assert grown.labels_key == first.labels_key
    assert grown.student_key != first.student_key


@pytest.mark.parametrize(
    ("field", "value", "same"),
    [
        pytest.param("training", micro.TRAINING | {"checkpointEverySteps": 9}, True, id="checkpoints do not matter"),
        pytest.param("training", micro.TRAINING | {"seed": 1}, False, id="the seed matters"),
        pytest.param("objective", {"alpha": 0.5}, False, id="the objective matters"),
        pytest.param("softLabels", {"shards": 7}, True, id="the number of shards does not matter"),
    ],
)
def test_the_student_key_names_what_a_student_depends_on(
    field: str, value: object, same: bool, source: Path, storage: Path, context: Context
) -> None:
    plain = check(source, storage, context).student_key
    assert (check(source, storage, context, **{field: value}).student_key == plain) is same


def edit_config(**fields: object) -> Callable[[Path], None]:
    """Change config.json of the teacher."""

    def spoil(folder: Path) -> None:
        path = folder / "teacher" / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | fields))

    return spoil


def name_labels(*names: str) -> Callable[[Path], None]:
    return edit_config(id2label=dict(enumerate(names)))


def truncate_weights(folder: Path) -> None:
    path = folder / "teacher" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def poison_weights(folder: Path) -> None:
    path = folder / "teacher" / "model.safetensors"
    save_file({name: tensor / 0 for name, tensor in load_file(path).items()}, path, metadata={"format": "pt"})


def drop_classifier(folder: Path) -> None:
    path = folder / "teacher" / "model.safetensors"
    kept = {name: tensor for name, tensor in load_file(path).items() if not name.startswith("classifier")}
    save_file(kept, path, metadata={"format": "pt"})


def pickle_weights(folder: Path) -> None:
    (folder / "teacher" / "model.safetensors").rename(folder / "teacher" / "pytorch_model.bin")


def rows_of(field: str, count: int, start: int = 340) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        micro.write_rows(folder / f"{field}.parquet", micro.sentences()[start : start + count])

    return spoil


@pytest.mark.parametrize(
    ("spoil", "reason", "words"),
    [
        pytest.param(truncate_weights, "WeightsCorrupt", "upload the model again", id="weights cut short"),
        pytest.param(poison_weights, "WeightsCorrupt", "NaN", id="weights that are no numbers"),
        pytest.param(drop_classifier, "WeightsCorrupt", "lack classifier", id="an encoder without classifier"),
        pytest.param(pickle_weights, "UnsafeFormat", "save the model with safetensors", id="pickled weights"),
        pytest.param(edit_config(auto_map={"AutoModel": "x.Y"}), "UnsafeFormat", "code of its own", id="remote code"),
        pytest.param(name_labels("cat"), "ModelUnsupported", "id2label", id="one label"),
        pytest.param(name_labels("cat", "cat", "owl"), "ModelUnsupported", "id2label", id="a label twice"),
        pytest.param(name_labels("cow", "dog", "owl"), "UnknownLabel", "'cat'", id="labels the teacher lacks"),
        pytest.param(rows_of("test", 0), "EmptyTestSet", "held-out", id="no held-out rows"),
        pytest.param(rows_of("train", 1), "EmptyTrainSet", "labelled rows", id="too few labelled rows"),
        pytest.param(rows_of("test", 9, 35), "TestInTraining", "5 rows.*row 1, .*train", id="test rows in train"),
        pytest.param(rows_of("test", 9, 138), "TestInTraining", "2 rows.*unlabelled", id="held-out rows in unlabelled"),
    ],
)
def test_what_is_wrong_has_a_reason_and_a_way_out(
    spoil: Callable[[Path], None], reason: str, words: str, copy: Path, storage: Path, context: Context
) -> None:
    spoil(copy)
    with pytest.raises(InputRefused, match=words) as caught:
        check(copy, storage, context)
    assert caught.value.reason == reason


def test_a_teacher_with_another_digest_is_refused(source: Path, storage: Path, context: Context) -> None:
    teacher = {"uri": f"file://{source}/teacher", "digest": "sha256:" + "0" * 64}
    with pytest.raises(InputRefused, match="set the digest you mean") as caught:
        check(source, storage, context, teachers=[{"model": teacher}])
    assert caught.value.reason == "DigestMismatch"


def test_a_student_wider_than_the_teacher_is_refused(source: Path, storage: Path, context: Context) -> None:
    with pytest.raises(InputRefused, match="hiddenSize: 32 is more than the teacher's 16"):
        check(source, storage, context, student={"config": {"hiddenSize": 32}})


def test_damaged_soft_labels_are_found_before_training(source: Path, storage: Path, context: Context) -> None:
    first = check(source, storage, context)
    label(micro.make_run("label", source, storage, labelsKey=first.labels_key), context)
    next(storage.rglob("segments/*.parquet")).write_bytes(b"?")
    with pytest.raises(DigestMismatch, match="labels its rows again"):
        check(source, storage, replace(context, workdir=context.workdir / "again"))
