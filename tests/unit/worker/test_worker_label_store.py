"""The label store: append-only segments, verified, each row counted once."""

from pathlib import Path

import numpy as np
import pytest
from distillery_storage import Conflict, DigestMismatch, open_prefix
from distillery_worker.errors import InputRefused
from distillery_worker.labels.codecs import LogitsCodec, SampledCodec
from distillery_worker.labels.segments import RowLabels
from distillery_worker.labels.store import LabelSet, LabelStore

DIGEST = "sha256:" + "0" * 64
LABELS = LabelSet(
    codec=LogitsCodec(alignment="one position per row", vocabulary=2),
    teacher=DIGEST,
    tokenizer=DIGEST,
    max_length=8,
    labels=["x", "y"],
)


@pytest.fixture
def store(tmp_path: Path) -> LabelStore:
    return LabelStore.at(open_prefix(f"file://{tmp_path}"), LABELS)


def logits(*rows: float) -> list[RowLabels]:
    return [{"logits": np.array([[row, -row]], dtype=np.float32)} for row in rows]


def test_rows_come_back_by_their_keys_and_missing_ones_do_not(store: LabelStore) -> None:
    store.append(["a", "b"], logits(1.5, 2.5), 0, "job")
    store.append(["c"], logits(3.5), 1, "job")
    found = store.lookup(["c", "a", "z", "a"])
    assert {key: row["logits"].tolist() for key, row in found.items()} == {"a": [[1.5, -1.5]], "c": [[3.5, -3.5]]}


def test_an_empty_store_misses_every_row(store: LabelStore) -> None:
    assert store.lookup(["a"]) == {}
    with pytest.raises(InputRefused, match="1 of 1 rows have no soft labels"):
        store.rows(["a", "a"])
    assert store.keys() == set()


def test_a_store_holds_labels_of_any_codec(tmp_path: Path) -> None:
    sampled = LABELS.model_copy(update={"codec": SampledCodec(vocabulary=9, samples=3)})
    store = LabelStore.at(open_prefix(f"file://{tmp_path}"), sampled)
    draws = np.array([[0, 4, 4], [1, 2, 8]], dtype=np.int32)
    store.append(["a"], [{"draws": draws}], 0, "job")
    np.testing.assert_array_equal(store.lookup(["a"])["a"]["draws"], draws)


def test_the_same_segment_written_twice_is_one_segment(store: LabelStore) -> None:
    for _ in range(2):
        store.append(["a", "b"], logits(1, 2), 0, "job")
    assert len(list(store.segments())) == 1


def test_a_row_labelled_twice_has_the_same_labels_for_every_reader(store: LabelStore) -> None:
    store.append(["a"], logits(1), 0, "job")
    store.append(["a", "b"], logits(1.000001, 2), 0, "other")
    assert store.keys() == {"a", "b"}
    first = next(store.segments())
    np.testing.assert_array_equal(store.lookup(["a"])["a"]["logits"], first[1][0]["logits"])


def test_a_few_rows_come_in_order_from_the_segments_that_readers_take_them_from(store: LabelStore) -> None:
    store.append(["a", "b"], logits(1, 2), 0, "job")
    store.append(["b", "c"], logits(3, 4), 0, "other")
    places, everyone = store.places(), store.lookup(["a", "b", "c"])
    assert places.keys() == {"a", "b", "c"}
    for key, row in zip("cba", store.few(["c", "b", "a"], places), strict=True):
        np.testing.assert_array_equal(row["logits"], everyone[key]["logits"])


def test_of_a_few_rows_no_other_segment_is_read(store: LabelStore, tmp_path: Path) -> None:
    store.append(["a"], logits(1), 0, "job")
    places = store.places()
    store.append(["b"], logits(2), 0, "job")
    for segment in tmp_path.rglob("segments/*.parquet"):
        if segment.stem not in places["a"]:
            segment.unlink()
    assert store.few(["a"], places)[0]["logits"].tolist() == [[1, -1]]


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


def test_a_store_says_of_itself_what_its_labels_are(store: LabelStore) -> None:
    store.describe()
    assert LabelSet.model_validate_json(store.prefix.read("codec.json")) == LABELS


def test_labels_of_other_names_never_mix(store: LabelStore) -> None:
    for _ in range(2):
        store.describe()
    with pytest.raises(Conflict, match=r"codec\.json"):
        LabelStore(store.prefix, LABELS.model_copy(update={"labels": ["y", "x"]})).describe()


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"max_length": 9}, id="the length limit"),
        pytest.param({"teacher": "sha256:" + "1" * 64}, id="the teacher"),
        pytest.param({"codec": SampledCodec(vocabulary=2)}, id="the codec"),
    ],
)
def test_the_labels_key_depends_on_what_made_the_labels(change: dict[str, object]) -> None:
    assert LABELS.key != LABELS.model_copy(update=change).key
