"""Labels of many positions are read row by row from a copy on disk, and are those of the store."""

from pathlib import Path
from weakref import ReferenceType, ref

import micro_language as micro
import numpy as np
import pytest
from distillery_storage import DigestMismatch, open_prefix
from distillery_worker.context import Context
from distillery_worker.errors import InputRefused
from distillery_worker.labels import local_copy as copying
from distillery_worker.labels.codecs import Codec, HiddenCodec, LogitsCodec, SampledCodec, TopKCodec
from distillery_worker.labels.local_copy import local_copy
from distillery_worker.labels.segments import RowLabels, rows_in
from distillery_worker.labels.store import LabelSet, LabelStore
from distillery_worker.stages.label import label
from distillery_worker.stages.preflight import preflight
from distillery_worker.stages.train import train
from distillery_worker.training.first_step import ROWS
from distillery_worker.training.fitting import Fit

DIGEST = "sha256:" + "0" * 64
VOCABULARY = 40
CODECS = [
    SampledCodec(vocabulary=VOCABULARY, samples=9),
    TopKCodec(vocabulary=VOCABULARY, k=3),
    LogitsCodec(vocabulary=VOCABULARY, alignment="position i predicts token i+1"),
    HiddenCodec(vocabulary=VOCABULARY, width=6, head=DIGEST),
]


def store_of(folder: Path, codec: Codec) -> LabelStore:
    return LabelStore.at(open_prefix(f"file://{folder}"), LabelSet(codec=codec, teacher=DIGEST, tokenizer=DIGEST))


def labels(codec: Codec, seed: int, positions: int) -> RowLabels:
    generator = np.random.default_rng(seed)
    return {
        column.name: np.sort(generator.integers(0, VOCABULARY, (positions, column.width)), axis=1).astype(column.dtype)
        for column in codec.columns
    }


@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.kind)
def test_a_copy_gives_the_rows_of_the_store_in_any_order(codec: Codec, tmp_path: Path) -> None:
    store = store_of(tmp_path / "store", codec)
    for number in range(3):
        keys = [f"{number}-{row}" for row in range(4)] + ["twice"]
        store.append(keys, [labels(codec, 10 * number + row, 1 + row) for row in range(5)], 0, "job")
    wanted = ["2-0", "0-3", "twice", "1-1", "2-0"]
    copied = local_copy(store, wanted, tmp_path)
    assert len(copied) == len(wanted)
    for place, expected in enumerate(store.rows(wanted)):
        for name, values in expected.items():
            assert copied[place][name].dtype == values.dtype
            np.testing.assert_array_equal(copied[place][name], values)


def test_a_second_copy_replaces_the_first(tmp_path: Path) -> None:
    store = store_of(tmp_path / "store", CODECS[0])
    rows = [labels(CODECS[0], seed, 2) for seed in range(2)]
    store.append(["a", "b"], rows, 0, "job")
    local_copy(store, ["a", "b"], tmp_path)
    copied = local_copy(store, ["b"], tmp_path)
    assert copied.file.num_record_batches == 1
    np.testing.assert_array_equal(copied[0]["draws"], rows[1]["draws"])


def test_a_row_without_labels_is_refused(tmp_path: Path) -> None:
    store = store_of(tmp_path / "store", CODECS[0])
    store.append(["a"], [labels(CODECS[0], 0, 2)], 0, "job")
    with pytest.raises(InputRefused, match="1 of 2 rows have no soft labels") as caught:
        local_copy(store, ["a", "z"], tmp_path)
    assert caught.value.reason == "LabelsMissing"


def test_damaged_bytes_are_not_copied(tmp_path: Path) -> None:
    store = store_of(tmp_path / "store", CODECS[0])
    store.append(["a"], [labels(CODECS[0], 0, 2)], 0, "job")
    segment = next(tmp_path.rglob("segments/*.parquet"))
    segment.write_bytes(segment.read_bytes()[:-1] + b"?")
    with pytest.raises(DigestMismatch, match="delete this segment"):
        local_copy(store, ["a"], tmp_path)


def test_training_holds_the_labels_of_no_more_rows_than_it_looks_at_at_once(
    language_source: Path, storage: Path, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Watched(dict[str, np.ndarray]):
        """A row of labels; a plain dict takes no weak reference."""

    read, held = list[ReferenceType[Watched]](), list[int]()
    train_step = Fit.train_step

    def alive() -> int:
        return sum(reference() is not None for reference in read)

    def watched(codec: Codec, table: object) -> list[RowLabels]:
        found = [Watched(row) for row in rows_in(codec, table)]
        read.extend(map(ref, found))
        held.append(alive())
        return found

    def step(self: Fit, batch: object) -> None:
        assert alive() == 0
        train_step(self, batch)

    monkeypatch.setattr(copying, "rows_in", watched)
    monkeypatch.setattr(Fit, "train_step", step)
    found = preflight(micro.make_run("preflight", language_source, storage), context)
    label(micro.make_run("label", language_source, storage, labelsKey=found.labels_key), context)
    keys = {"labelsKey": found.labels_key, "studentKey": found.student_key}
    train(micro.make_run("train", language_source, storage, **keys), context)
    batch = micro.TRAINING["batchSize"]
    assert len(read) > found.missing_rows > batch
    assert max(held) == max(batch, ROWS)
