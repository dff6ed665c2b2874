"""The label store: append-only segments, verified, each row counted once."""

from pathlib import Path

import numpy as np
import pytest
from distillery_storage import Conflict, DigestMismatch, open_prefix
from distillery_worker.labels.store import Codec, LabelStore

DIGEST = "sha256:" + "0" * 64


@pytest.fixture
def store(tmp_path: Path) -> LabelStore:
    return LabelStore.at(open_prefix(f"file://{tmp_path}"), DIGEST)


def logits(*rows: float) -> np.ndarray:
    return np.array([[row, -row] for row in rows], dtype=np.float32)


def test_rows_come_back_in_the_order_asked_for_and_missing_ones_are_named(store: LabelStore) -> None:
    store.append(["a", "b"], logits(1.5, 2.5), 0, "job")
    store.append(["c"], logits(3.5), 1, "job")
    missing, found = store.lookup(["c", "a", "z", "a"])
    assert missing == ["z"]
    np.testing.assert_array_equal(found[[0, 1, 3]], logits(3.5, 1.5, 1.5))


def test_an_empty_store_misses_every_row(store: LabelStore) -> None:
    assert store.lookup(["a"])[0] == ["a"]
    assert store.keys() == set()


def test_the_same_segment_written_twice_is_one_segment(store: LabelStore) -> None:
    for _ in range(2):
        store.append(["a", "b"], logits(1, 2), 0, "job")
    assert len(list(store.segments())) == 1


def test_a_row_labelled_twice_has_the_same_labels_for_every_reader(store: LabelStore) -> None:
    store.append(["a"], logits(1), 0, "job")
    store.append(["a", "b"], logits(1.000001, 2), 0, "other")
    assert store.keys() == {"a", "b"}
    first = next(store.segments())
    np.testing.assert_array_equal(store.lookup(["a"])[1][0], first[1][0])


def test_a_segment_without_its_record_does_not_exist(store: LabelStore, tmp_path: Path) -> None:
    store.append(["a"], logits(1), 0, "job")
    next(tmp_path.rglob("segments/*.json")).unlink()
    assert store.keys() == set()


def test_damaged_bytes_are_refused_with_the_way_out(store: LabelStore, tmp_path: Path) -> None:
    store.append(["a"], logits(1), 0, "job")
    segment = next(tmp_path.rglob("segments/*.parquet"))
    segment.write_bytes(segment.read_bytes()[:-1] + b"?")
    with pytest.raises(DigestMismatch, match="delete this segment"):
        store.keys()


def test_labels_of_another_kind_never_mix(store: LabelStore) -> None:
    codec = Codec(teacher=DIGEST, tokenizer=DIGEST, kind="logits", max_length=8, labels=["x", "y"])
    store.describe(codec)
    store.describe(codec)
    with pytest.raises(Conflict, match=r"codec\.json"):
        store.describe(codec.model_copy(update={"labels": ["y", "x"]}))


def test_the_labels_key_depends_on_what_made_the_labels() -> None:
    codec = Codec(teacher=DIGEST, tokenizer=DIGEST, kind="logits", max_length=8, labels=["x", "y"])
    assert codec.key != codec.model_copy(update={"max_length": 9}).key
    assert codec.key != codec.model_copy(update={"teacher": "sha256:" + "1" * 64}).key
