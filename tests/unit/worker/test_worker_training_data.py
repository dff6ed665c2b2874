"""What training sees: a fixed order, each row once, and validation rows that it never learns from."""

from pathlib import Path

import numpy as np
import pytest
from distillery_api.filters import Filters
from distillery_engine import TextTokenizer
from distillery_storage import open_prefix
from distillery_worker.data.files import Rows
from distillery_worker.data.text import row_key
from distillery_worker.errors import InputRefused
from distillery_worker.labels.store import LabelStore
from distillery_worker.losses.objective import NO_GOLD
from distillery_worker.tasks.classification import Classification
from distillery_worker.training.examples import collect, epoch_batches

HEAD = Classification(["cat", "dog"])
LENGTHS = np.array([3, 9, 4, 4, 7, 5, 3, 8, 6, 5])


def test_an_epoch_has_each_row_once_and_depends_on_seed_and_epoch_alone() -> None:
    batches = epoch_batches(LENGTHS, 4, seed=1, epoch=0)
    assert sorted(np.concatenate(batches).tolist()) == list(range(10))
    again = epoch_batches(LENGTHS, 4, seed=1, epoch=0)
    assert [batch.tolist() for batch in batches] == [batch.tolist() for batch in again]
    assert [batch.tolist() for batch in batches] != [b.tolist() for b in epoch_batches(LENGTHS, 4, seed=1, epoch=1)]


def rows(texts: list[str], gold: list[int] | None, groups: list[str] | None = None) -> Rows:
    """Rows of a file with these texts."""
    return Rows(texts, None if gold is None else np.array(gold), "d", [row_key(text) for text in texts], groups)


@pytest.fixture
def tokenizer(source: Path) -> TextTokenizer:
    return TextTokenizer(source / "teacher" / "tokenizer.json", 12, 0)


@pytest.fixture
def store(tmp_path: Path) -> LabelStore:
    store = LabelStore.at(open_prefix(f"file://{tmp_path}"), "sha256:" + "0" * 64)
    texts = ["a cat", "a dog", "the owl", "the cat"]
    numbers = np.arange(4, dtype=np.float32)
    store.append([row_key(text) for text in texts], np.stack([numbers, -numbers], axis=1), 0, "job")
    return store


def test_equal_texts_stay_together_and_an_unlabelled_copy_adds_nothing(
    store: LabelStore, tokenizer: TextTokenizer
) -> None:
    gold = rows(["a cat", "a dog", "a cat", "a dog"], [0, 1, 0, 1])
    split = collect(gold, rows(["the owl", "a dog", "the cat", "the owl"], None), tokenizer, HEAD, store, 0, Filters())
    held = {tuple(row) for row in split.validation.rows}
    assert len(held) == 1
    assert len(split.validation) == 2
    assert not held & {tuple(row) for row in split.learn.rows}
    assert (split.learn.gold == NO_GOLD).sum() == 2
    assert len(split.gold_only(HEAD).learn) == 2


def test_each_row_carries_its_own_soft_labels(store: LabelStore, tokenizer: TextTokenizer) -> None:
    gold = rows(["a cat", "a dog"], [0, 1])
    split = collect(gold, rows(["the cat", "the owl"], None), tokenizer, HEAD, store, 0, Filters())
    unlabelled = split.learn.gold == NO_GOLD
    assert split.learn.teacher[unlabelled][:, 0].tolist() == [3.0, 2.0]


def test_rows_without_soft_labels_stop_the_training(store: LabelStore, tokenizer: TextTokenizer) -> None:
    with pytest.raises(InputRefused, match="1 of 3 rows") as caught:
        collect(rows(["a cat", "a dog", "no owl"], [0, 1, 1]), None, tokenizer, HEAD, store, 0, Filters())
    assert caught.value.reason == "LabelsMissing"


def test_unlabelled_rows_of_a_validation_group_are_left_out(store: LabelStore, tokenizer: TextTokenizer) -> None:
    gold = rows(["a cat", "a dog"], [0, 1], ["x", "y"])
    split = collect(gold, rows(["the cat", "the owl"], None, ["x", "y"]), tokenizer, HEAD, store, 0, Filters())
    numbers = {"x": {0.0, 3.0}, "y": {1.0, 2.0}}
    held = next(group for group, parts in numbers.items() if split.validation.teacher[0, 0].item() in parts)
    assert set(split.learn.teacher[:, 0].tolist()) == numbers["y" if held == "x" else "x"]


def test_the_teacher_s_filters_spare_validation_rows(store: LabelStore, tokenizer: TextTokenizer) -> None:
    """The teacher of the store answers 'cat' to each of these rows."""
    gold = rows(["a dog", "the owl", "the cat"], [0, 0, 1])
    filters = Filters.model_validate({"teacherMistakes": "Drop"})
    splits = [collect(gold, None, tokenizer, HEAD, store, seed, filters) for seed in range(6)]
    found = {(split.validation.gold.item(), len(split.learn), split.dropped["teacherMistakes"]) for split in splits}
    assert found == {(1, 2, 0), (0, 1, 1)}


def test_filters_that_leave_no_labelled_row_are_refused(store: LabelStore, tokenizer: TextTokenizer) -> None:
    filters = Filters.model_validate({"teacherMistakes": "Drop"})
    with pytest.raises(InputRefused, match="teacherMistakes 1") as caught:
        collect(rows(["a dog", "the owl"], [1, 1]), None, tokenizer, HEAD, store, 0, filters)
    assert caught.value.reason == "EmptyTrainSet"
