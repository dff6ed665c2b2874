"""Filters and groups in the stages: they all see the same rows, and the student is keyed by what it depends on."""

import json
import shutil
from pathlib import Path

import micro
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from distillery_storage import open_prefix
from distillery_worker.artifacts.records import read_record, student_prefix
from distillery_worker.context import Context
from distillery_worker.errors import InputRefused
from distillery_worker.stages.label import label
from distillery_worker.stages.preflight import preflight
from distillery_worker.stages.train import train

FILTERS = {
    "length": {"minCharacters": 10},
    "contamination": {},
    "dedupe": {},
    "teacherConfidence": {"min": 0.4},
    "teacherMistakes": "Drop",
}


@pytest.fixture
def copy(source: Path, tmp_path: Path) -> Path:
    """The source folder with six wrong labels, two equal rows, a row that is too short, and one that is a test row."""
    folder = Path(shutil.copytree(source, tmp_path / "copy"))
    rows = micro.sentences()
    wrong = [(text, "cat" if label == "dog" else "dog") for text, label in rows[340:346]]
    micro.write_rows(folder / "train.parquet", [*rows[:40], *wrong, rows[1], ("a cat a", "cat"), rows[200]])
    return folder


def dataset(folder: Path, **fields: object) -> dict[str, object]:
    files = {name: f"file://{folder}/{name}.parquet" for name in ("train", "unlabelled", "test")}
    return files | fields


def test_every_stage_sees_the_rows_that_the_filters_keep(copy: Path, storage: Path, context: Context) -> None:
    fields = {"dataset": dataset(copy, filters=FILTERS)}
    found = preflight(micro.make_run("preflight", copy, storage, **fields), context)
    assert found.dropped_rows["length"] > 0
    assert found.dropped_rows["contamination"] > 0
    assert found.dropped_rows["duplicates"] > 0
    left = found.rows["train"] + found.rows["unlabelled"]
    assert left + sum(found.dropped_rows.values()) == 49 + 100
    assert found.missing_rows == left
    labelled = label(micro.make_run("label", copy, storage, labelsKey=found.labels_key, **fields), context)
    assert labelled.labelled_rows == left
    keys = {"labelsKey": found.labels_key, "studentKey": found.student_key}
    trained = train(micro.make_run("train", copy, storage, **keys, **fields), context)
    assert trained.dropped_rows.items() >= found.dropped_rows.items()
    record = read_record(student_prefix(open_prefix(f"file://{storage}"), found.student_key))
    assert record is not None
    assert record.dropped_rows == trained.dropped_rows
    by_teacher = trained.dropped_rows["teacherConfidence"] + trained.dropped_rows["teacherMistakes"]
    assert trained.dropped_rows["teacherMistakes"] > 0
    assert record.student.rows + record.validation_rows + by_teacher == left


def test_later_stages_take_the_rows_that_the_first_one_stored(
    source: Path, storage: Path, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    fields = {"dataset": dataset(source, filters={"dedupe": {}})}
    found = preflight(micro.make_run("preflight", source, storage, **fields), context)
    (stored,) = (storage / "selections").iterdir()
    monkeypatch.setattr("distillery_worker.stages.dataset.select_rows", None)
    assert preflight(micro.make_run("preflight", source, storage, **fields), context) == found
    assert found.selection_key == f"sha256:{stored.name}"
    selection = json.loads((stored / "rows.json").read_text())
    (stored / "rows.json").write_text(json.dumps(selection | {"rows": {"train": [0, 1, 2], "unlabelled": [5]}}))
    labelled = label(micro.make_run("label", source, storage, labelsKey=found.labels_key, **fields), context)
    assert labelled.labelled_rows == 4


def test_other_filters_or_files_are_another_selection(copy: Path, storage: Path, context: Context) -> None:
    def select(**filters: object) -> int:
        preflight(micro.make_run("preflight", copy, storage, dataset=dataset(copy, filters=filters)), context)
        return len(list((storage / "selections").iterdir()))

    micro.write_rows(copy / "train.parquet", micro.sentences()[:40])
    assert select(dedupe={}) == 1
    assert select(dedupe={}, teacherMistakes="Drop") == 1
    assert select(dedupe={"near": {}}) == 2
    micro.write_rows(copy / "test.parquet", micro.sentences()[150:340])
    assert select(dedupe={}) == 2
    assert select(contamination={}) == 3
    micro.write_rows(copy / "train.parquet", micro.sentences()[:39])
    assert select(dedupe={}) == 4


@pytest.mark.parametrize(
    ("filters", "same"),
    [
        pytest.param({"dedupe": {}}, True, id="test rows do not matter to a student"),
        pytest.param({"contamination": {}}, False, id="but where its rows are kept apart from them"),
    ],
)
def test_the_student_key_names_the_test_rows_where_they_decide_what_is_learned(
    filters: dict[str, object], same: bool, copy: Path, storage: Path, context: Context
) -> None:
    def key() -> str:
        run = micro.make_run("preflight", copy, storage, dataset=dataset(copy, filters=filters))
        return preflight(run, context).student_key

    micro.write_rows(copy / "train.parquet", micro.sentences()[:40])
    before = key()
    micro.write_rows(copy / "test.parquet", micro.sentences()[150:340])
    assert (key() == before) is same


def test_the_filters_are_part_of_the_student_key(source: Path, storage: Path, context: Context) -> None:
    runs = [
        micro.make_run("preflight", source, storage, dataset=dataset(source, **fields))
        for fields in ({}, {"filters": {}}, {"filters": {"dedupe": {}}})
    ]
    plain, empty, dedupe = (preflight(run, context) for run in runs)
    assert plain.student_key == empty.student_key != dedupe.student_key
    assert plain.selection_key is empty.selection_key is None


def write_groups(path: Path, rows: list[tuple[str, str]], groups: list[object]) -> None:
    """A Parquet file with text, label and author."""
    texts, labels = zip(*rows, strict=True)
    pq.write_table(pa.table({"text": texts, "label": labels, "author": groups}), path)


@pytest.fixture
def authors(source: Path, tmp_path: Path) -> Path:
    """The source folder, each file with ten authors of its own."""
    folder = Path(shutil.copytree(source, tmp_path / "authors"))
    rows = micro.sentences()
    for name, part in (("train", rows[:40]), ("unlabelled", rows[40:140]), ("test", rows[140:340])):
        write_groups(folder / f"{name}.parquet", part, [f"{name} {number % 10}" for number in range(len(part))])
    return folder


def check_authors(folder: Path, storage: Path, context: Context, **fields: object) -> object:
    columns = dataset(folder, columns={"group": "author"}, **fields)
    return preflight(micro.make_run("preflight", folder, storage, dataset=columns), context)


def test_a_group_of_train_that_is_a_group_of_test_is_refused_or_removed(
    authors: Path, storage: Path, context: Context
) -> None:
    assert check_authors(authors, storage, context).rows["train"] == 40
    groups = [f"test {number % 10}" if number < 8 else f"own {number % 4}" for number in range(40)]
    write_groups(authors / "train.parquet", micro.sentences()[:40], groups)
    with pytest.raises(InputRefused, match=r"160 rows by their group, the first in row 1,.*dataset\.train") as caught:
        check_authors(authors, storage, context)
    assert caught.value.reason == "TestInTraining"
    assert check_authors(authors, storage, context, filters={"contamination": {}}).dropped_rows["contamination"] >= 8


@pytest.mark.parametrize(
    ("groups", "reason", "words"),
    [
        pytest.param(
            [None, *"abc" * 13], "EmptyGroup", "row 1 has no group in column 'author'", id="a row without group"
        ),
        pytest.param(["a"] * 40, "EmptyTrainSet", "all rows are one group", id="one group alone"),
    ],
)
def test_groups_that_cannot_be_split_by_are_refused(
    groups: list[object], reason: str, words: str, authors: Path, storage: Path, context: Context
) -> None:
    write_groups(authors / "train.parquet", micro.sentences()[:40], groups)
    with pytest.raises(InputRefused, match=words) as caught:
        check_authors(authors, storage, context)
    assert caught.value.reason == reason


def test_filters_that_leave_nothing_say_which_did(source: Path, storage: Path, context: Context) -> None:
    filters = {"length": {"minCharacters": 1000}}
    run = micro.make_run("preflight", source, storage, dataset=dataset(source, filters=filters))
    with pytest.raises(InputRefused, match=r"140 dropped by dataset\.filters\.length") as caught:
        preflight(run, context)
    assert caught.value.reason == "EmptyTrainSet"
