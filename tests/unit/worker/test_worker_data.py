"""Data files: three formats, one meaning, and errors that name field, row and fix."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from distillery_api.dataset import Columns
from distillery_worker.data.text import load_texts, row_key
from distillery_worker.errors import InputRefused
from distillery_worker.tasks.classification import Classification

ROWS = [{"text": "a cat, asleep", "label": "cat"}, {"text": "ein Hünd\n", "label": "dog"}]
HEAD = Classification(["cat", "dog"])


def write(path: Path, rows: list[dict[str, object]]) -> str:
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        lines = [",".join(f'"{value}"' for value in row.values()) for row in rows]
        path.write_text("\n".join([",".join(rows[0]), *lines]) + "\n")
    return f"file://{path}"


@pytest.mark.parametrize("suffix", ["parquet", "jsonl", "csv"])
def test_every_format_gives_the_same_rows(suffix: str, tmp_path: Path) -> None:
    uri = write(tmp_path / f"rows.{suffix}", ROWS)
    rows = load_texts(uri, "train", Columns(), HEAD.gold, tmp_path / "work")
    assert rows.inputs == [row["text"] for row in ROWS]
    assert rows.gold is not None
    assert rows.gold.tolist() == [0, 1]
    assert rows.digest.startswith("sha256:")


def test_whole_numbers_are_label_names_too(tmp_path: Path) -> None:
    uri = write(tmp_path / "rows.parquet", [{"text": "a", "label": 7}])
    assert load_texts(uri, "train", Columns(), Classification(["3", "7"]).gold, tmp_path / "work").gold == [1]


def test_groups_are_read_as_text_and_every_file_needs_them(tmp_path: Path) -> None:
    columns = Columns(group="author")
    uri = write(tmp_path / "rows.parquet", [{"text": "a", "author": 7}, {"text": "b", "author": 8}])
    assert load_texts(uri, "unlabelled", columns, None, tmp_path / "work").groups == ["7", "8"]
    uri = write(tmp_path / "rows.parquet", [{"text": "a", "label": "cat"}])
    with pytest.raises(InputRefused, match="no column 'author'"):
        load_texts(uri, "test", columns, HEAD.gold, tmp_path / "work")


@pytest.mark.parametrize(
    ("rows", "reason", "words"),
    [
        pytest.param([{"body": "a", "label": "x"}], "MissingColumn", "no column 'text', only 'body'", id="no text"),
        pytest.param([{"text": "a"}], "MissingColumn", "no column 'label'", id="no label column"),
        pytest.param([{"text": "a", "label": "cow"}], "UnknownLabel", "row 1 has label 'cow'", id="an unknown label"),
        pytest.param([*ROWS, {"text": "b", "label": None}], "UnknownLabel", "row 3 has label None", id="no label"),
        pytest.param([*ROWS, {"text": " ", "label": "cat"}], "EmptyText", "row 3 has no text", id="a blank text"),
    ],
)
def test_wrong_rows_are_refused(rows: list[dict[str, object]], reason: str, words: str, tmp_path: Path) -> None:
    uri = write(tmp_path / "rows.parquet", rows)
    with pytest.raises(InputRefused, match=words) as caught:
        load_texts(uri, "test", Columns(), HEAD.gold, tmp_path / "work")
    assert caught.value.reason == reason
    assert "dataset.test" in caught.value.message


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param("rows.parquet", b"not parquet", id="no Parquet at all"),
        pytest.param("rows.jsonl", b'{"text": "a"\n', id="broken JSON"),
        pytest.param("rows.jsonl", b"[1]\n", id="a line that is no object"),
        pytest.param("rows.csv", b"text,label\n\xff\xfe,cat\n", id="not UTF-8"),
    ],
)
def test_a_file_that_cannot_be_read_says_so(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputRefused, match="write it again") as caught:
        load_texts(f"file://{tmp_path}/{name}", "train", Columns(), HEAD.gold, tmp_path / "work")
    assert caught.value.reason == "DataUnreadable"


def test_only_equal_texts_share_a_key() -> None:
    assert row_key("a") == row_key("a")
    assert len({row_key("a"), row_key("a "), row_key("A")}) == 3
