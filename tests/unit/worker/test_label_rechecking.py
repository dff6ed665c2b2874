"""A few stored rows are labelled again: which ones, in which stage, and what happens where they differ."""

from pathlib import Path
from typing import Any

import micro_language
import numpy as np
import pytest
from distillery_storage import open_prefix
from distillery_worker.context import Context
from distillery_worker.errors import InputRefused, Interrupted
from distillery_worker.labels.store import LabelStore
from distillery_worker.stages.rechecking import draw
from distillery_worker.teachers import teacher as teaching
from distillery_worker.teachers.language_model import LanguageModelTeacher
from distillery_worker.teachers.text import TextTeacher
from distillery_worker.teachers.writing_teacher import WritingTeacher
from panel_job import Job, folder
from test_language_stages import Pipeline

KINDS = [{"kind": "sampled"}, {"kind": "topK", "k": 5}, {"kind": "hidden"}, {"kind": "logits"}]
HALF = {"softLabels": {"shards": 2}}
OTHER = {"namespace": "team", "name": "animals", "uid": "uid-2"}


@pytest.fixture
def half(source: Path, storage: Path, context: Context) -> Job:
    """A job of which one of two shards is labelled."""
    job = Job(source, storage, context, [folder(source / "teacher")])
    job.label(0, **HALF)
    return job


@pytest.fixture
def moved(half: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """After that the classifier answers otherwise, and its digest does not tell."""
    predict = TextTeacher.predict
    monkeypatch.setattr(TextTeacher, "predict", lambda self, batch: predict(self, batch) * np.float32(1.1))


def altered(storage: Path, panel: Any) -> LabelStore:
    """The store, whose only segment is replaced by one with the numbers of another row in each."""
    store: LabelStore = panel.members[0].store(open_prefix(f"file://{storage}"))
    ((keys, rows),) = store.segments()
    for path in storage.rglob("segments/*"):
        path.unlink()
    store.append(keys, [*rows[1:], rows[0]], 0, "uid-1")
    return store


def test_a_thousandth_of_the_stored_rows_is_checked_at_least_eight_and_no_more_than_the_teacher_bears() -> None:
    keys = {str(number) for number in range(30_000)}
    assert len(draw(keys, "uid", 64)) == 30
    assert len(draw(set(list(keys)[:100]), "uid", 64)) == 8
    assert len(draw({"a", "b"}, "uid", 64)) == 2
    assert len(draw(keys, "uid", 16)) == 16


def test_attempts_of_a_job_check_the_same_rows_and_other_jobs_others() -> None:
    keys = {str(number) for number in range(1000)}
    assert draw(keys, "uid", 64) == draw(sorted(keys), "uid", 64)
    assert not set(draw(keys, "uid", 64)) & set(draw(keys, "other", 64))


def test_the_label_stage_checks_what_is_stored_before_it_labels_the_rest(half: Job) -> None:
    assert half.found.rechecked_rows is None
    rest = half.label()
    assert (rest.rechecked_rows, rest.labelled_rows + rest.reused_rows) == (8, 140)


def test_a_first_labelling_has_nothing_to_check(source: Path, storage: Path, context: Context) -> None:
    job = Job(source, storage, context, [folder(source / "teacher")])
    assert job.label().rechecked_rows is None


def test_preflight_checks_where_no_row_is_left_for_a_label_stage(half: Job) -> None:
    half.label(1, **HALF)
    again = Job(half.source, half.storage, half.context, half.fields["teachers"])
    assert (again.found.missing_rows, again.found.rechecked_rows) == (0, 8)


@pytest.mark.usefixtures("moved")
def test_a_teacher_that_answers_otherwise_than_it_did_labels_nothing_more(half: Job) -> None:
    before = sorted(half.storage.rglob("segments/*"))
    with pytest.raises(InputRefused) as refused:
        half.label()
    assert refused.value.reason == "LabelsNotReproduced"
    assert "teachers: 'main' answers 8 of 8 stored rows otherwise now, by up to 0.1" in refused.value.message
    assert f"delete file://{half.storage}/labels/" in refused.value.message
    assert sorted(half.storage.rglob("segments/*")) == before


def test_a_segment_with_other_numbers_is_found_and_deleting_the_folder_mends_it(half: Job) -> None:
    store = altered(half.storage, half.panel())
    with pytest.raises(InputRefused, match=r"\d of 8 stored rows otherwise"):
        half.label(job=OTHER)
    for path in Path(store.prefix.uri.removeprefix("file://")).rglob("*.*"):
        path.unlink()
    assert half.label(job=OTHER).labelled_rows == 140


def test_a_check_stops_when_the_pod_is_stopped(half: Job) -> None:
    half.context.stop.set()
    with pytest.raises(Interrupted, match="the stored rows are kept"):
        half.label()


@pytest.mark.parametrize("soft_labels", KINDS, ids=lambda fields: fields["kind"])
def test_labels_of_every_kind_agree_with_the_teacher_that_made_them_and_not_with_another(
    soft_labels: dict[str, Any], language_source: Path, storage: Path, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Pipeline(language_source, storage, context, softLabels=soft_labels)
    first.label()
    again = Pipeline(language_source, storage, context, softLabels=soft_labels)
    assert again.found.rechecked_rows == 8
    labels = LanguageModelTeacher.labels
    another = lambda self, codec, keys, inputs, done: labels(self, codec, keys, inputs[::-1], done)  # noqa: E731
    monkeypatch.setattr(LanguageModelTeacher, "labels", another)
    with pytest.raises(InputRefused, match="of 8 stored rows otherwise"):
        Pipeline(language_source, storage, context, softLabels=soft_labels)


def test_answers_in_words_agree_with_the_teacher_that_wrote_them_and_not_with_another(
    writing_source: Path, storage: Path, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    fields = micro_language.from_text(writing_source)
    Pipeline(writing_source, storage, context, **fields).label()
    assert Pipeline(writing_source, storage, context, **fields).found.rechecked_rows == 8
    stored = WritingTeacher.stored
    cut = lambda self, written: stored(self, written._replace(ids=written.ids[:-1]))  # noqa: E731
    monkeypatch.setattr(WritingTeacher, "stored", cut)
    with pytest.raises(InputRefused, match="8 of 8 stored rows otherwise now, with another text"):
        Pipeline(writing_source, storage, context, **fields)


def test_rows_are_checked_up_to_the_labels_of_one_segment(half: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teaching, "SEGMENT_BYTES", 3 * 4 * 3)  # logits of three rows
    assert half.label().rechecked_rows == 3
