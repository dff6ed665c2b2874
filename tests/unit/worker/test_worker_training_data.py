"""What training sees: a fixed order, each row once, and validation rows that it never learns from."""

from pathlib import Path

import numpy as np
import pytest
from distillery_engine import TextTokenizer
from distillery_storage import open_prefix
from distillery_worker.data.files import Rows
from distillery_worker.data.text import row_key
from distillery_worker.errors import InputRefused
from distillery_worker.labels.store import LabelStore
from distillery_worker.losses.objective import NO_GOLD
from distillery_worker.tasks.classification import Classification
from distillery_worker.training.examples import Lookup, collect, epoch_batches, validation_keys

HEAD = Classification(["cat", "dog"])
LENGTHS = np.array([3, 9, 4, 4, 7, 5, 3, 8, 6, 5])


def test_an_epoch_has_each_row_once_and_depends_on_seed_and_epoch_alone() -> None:
    batches = epoch_batches(LENGTHS, 4, seed=1, epoch=0)
    assert sorted(np.concatenate(batches).tolist()) == list(range(10))
    again = epoch_batches(LENGTHS, 4, seed=1, epoch=0)
    assert [batch.tolist() for batch in batches] == [batch.tolist() for batch in again]
    assert [batch.tolist() for batch in batches] != [b.tolist() for b in epoch_batches(LENGTHS, 4, seed=1, epoch=1)]


def test_validation_takes_a_tenth_of_the_distinct_rows() -> None:
    keys = [row_key(str(number)) for number in range(100)] * 2
    assert len(validation_keys(keys, 0)) == 10
    assert validation_keys(keys, 0) != validation_keys(keys, 1)
    assert len(validation_keys(keys[:2], 0)) == 1


def rows(texts: list[str], gold: list[int] | None) -> Rows:
    """Rows of a file with these texts."""
    return Rows(texts, None if gold is None else np.array(gold), "d", [row_key(text) for text in texts])


def found(store: LabelStore) -> Lookup:
    """The store of one teacher as its panel reads it."""
    return lambda rows: store.lookup(rows.keys)


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
    split = collect(gold, rows(["the owl", "a dog", "the cat", "the owl"], None), tokenizer, HEAD, found(store), seed=0)
    held = {tuple(row) for row in split.validation.rows}
    assert len(held) == 1
    assert len(split.validation) == 2
    assert not held & {tuple(row) for row in split.learn.rows}
    assert (split.learn.gold == NO_GOLD).sum() == 2
    assert len(split.gold_only(HEAD).learn) == 2


def test_each_row_carries_its_own_soft_labels(store: LabelStore, tokenizer: TextTokenizer) -> None:
    gold = rows(["a cat", "a dog"], [0, 1])
    split = collect(gold, rows(["the cat", "the owl"], None), tokenizer, HEAD, found(store), seed=0)
    unlabelled = split.learn.gold == NO_GOLD
    assert split.learn.teacher[unlabelled][:, 0].tolist() == [3.0, 2.0]


def test_rows_without_soft_labels_stop_the_training(store: LabelStore, tokenizer: TextTokenizer) -> None:
    with pytest.raises(InputRefused, match="1 of 3 rows") as caught:
        collect(rows(["a cat", "a dog", "no owl"], [0, 1, 1]), None, tokenizer, HEAD, found(store), seed=0)
    assert caught.value.reason == "LabelsMissing"
