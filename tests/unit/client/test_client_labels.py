"""Stored soft labels: what inspect tells, and that verify names whatever is not what was written."""

import hashlib
import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from distillery.__main__ import main
from distillery_storage import open_prefix
from distillery_worker.labels.codecs import LogitsCodec
from distillery_worker.labels.segments import RowLabels
from distillery_worker.labels.store import LabelSet, LabelStore

DIGEST = "sha256:" + "a" * 64
LABELS = LabelSet(
    codec=LogitsCodec(alignment="one position per row", vocabulary=2),
    teacher=DIGEST,
    tokenizer=DIGEST,
    max_length=8,
    labels=["no", "yes"],
)


@pytest.fixture
def store(tmp_path: Path) -> LabelStore:
    """Two segments of the worker's own making, with one row in both."""
    row: RowLabels = {"logits": np.zeros((1, 2), np.float32)}
    labels = LabelStore.at(open_prefix(f"file://{tmp_path}/storage"), LABELS)
    labels.describe()
    labels.append(["row-1", "row-2"], [row, row], 0, "job-1")
    labels.append(["row-2", "row-3", "row-4"], [row, row, row], 1, "job-1")
    return labels


def segment(store: LabelStore, suffix: str) -> Path:
    """The first segment's file."""
    folder = Path(store.prefix.uri.removeprefix("file://")) / "segments"
    return sorted(folder.glob(f"*{suffix}"))[0]


def test_inspect_tells_codec_rows_and_bytes(
    store: LabelStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (segment(store, ".parquet").with_name("b" * 64 + ".parquet")).write_bytes(b"half")
    assert main(["labels", "inspect", f"file://{tmp_path}/storage"]) == 0
    shown = capsys.readouterr().out
    size = sum(path.stat().st_size for path in (tmp_path / "storage").rglob("*") if path.is_file())
    for line in (f"teacher: {DIGEST}", 'labels: ["no", "yes"]', "segments: 2", "rows: 5", f"bytes: {size} (",
                 f"bytes per row: {size / 5:.1f}", "incomplete segments: 1"):  # fmt: skip
        assert f"  {line}" in shown


def test_verify_counts_sound_segments_and_repeated_rows(
    store: LabelStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["labels", "verify", f"file://{tmp_path}/storage"]) == 0
    assert "2 of 2 segments sound, 5 rows, 1 of them repeated, 0 incomplete" in capsys.readouterr().out
    assert main(["labels", "verify", store.prefix.uri]) == 0


def test_verify_names_changed_bytes(store: LabelStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = segment(store, ".parquet")
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    assert main(["labels", "verify", f"file://{tmp_path}/storage"]) == 1
    shown = capsys.readouterr().out
    assert f"damaged: {store.prefix.uri}/segments/{path.stem}: is sha256:" in shown
    assert "1 of 2 segments sound" in shown


def test_verify_names_a_missing_file(store: LabelStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    segment(store, ".parquet").unlink()
    assert main(["labels", "verify", f"file://{tmp_path}/storage"]) == 1
    assert ".parquet: not found" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param({"rows": 7}, "rows, and its record says 7", id="another number of rows"),
        pytest.param({"digest": DIGEST}, f"its record says {DIGEST}", id="another digest"),
        pytest.param({"rows": "many"}, "record: rows: ", id="a record that cannot be read"),
    ],
)
def test_verify_names_a_record_that_does_not_fit(
    change: dict[str, object], words: str, store: LabelStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = segment(store, ".json")
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    assert main(["labels", "verify", f"file://{tmp_path}/storage"]) == 1
    assert words in capsys.readouterr().out


def test_verify_names_a_segment_without_row_keys(
    store: LabelStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    buffer = io.BytesIO()
    pq.write_table(pa.table({"other": [1]}), buffer)
    name = hashlib.sha256(buffer.getvalue()).hexdigest()
    store.prefix.write(f"segments/{name}.parquet", buffer.getvalue())
    store.prefix.write(f"segments/{name}.json", json.dumps({"digest": f"sha256:{name}", "rows": 1}).encode())
    assert main(["labels", "verify", f"file://{tmp_path}/storage"]) == 1
    assert f"segments/{name}: has no column row_key" in capsys.readouterr().out


@pytest.mark.parametrize(("text", "words"), [("[1]", "is no JSON object"), ("{", "Expecting"), (None, "not found")])
def test_verify_names_a_codec_that_cannot_be_read(
    text: str | None, words: str, store: LabelStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store.prefix.delete("codec.json")
    if text is not None:
        store.prefix.write("codec.json", text.encode())
    assert main(["labels", "verify", f"file://{tmp_path}/storage"]) == 1
    shown = capsys.readouterr().out
    assert f"{store.prefix.uri}/codec.json: " in shown
    assert words in shown


def test_a_place_without_labels_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["labels", "inspect", f"file://{tmp_path}"]) == 3
    assert "holds no soft labels" in capsys.readouterr().err
    assert main(["labels", "verify", "http://bucket/x"]) == 3
