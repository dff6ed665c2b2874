"""Held-out rows that stand in what is learned from: found once, in whatever form, and kept with the items."""

import io
import shutil
from pathlib import Path

import micro
import micro_images
import micro_language
import numpy as np
import pytest
from distillery_api.gate import GateSpec
from distillery_storage import open_prefix
from distillery_worker.artifacts.contamination import known_rows, read_contamination
from distillery_worker.artifacts.records import student_prefix
from distillery_worker.context import Context
from distillery_worker.data import contamination
from distillery_worker.data.contamination import BOILERPLATE_ROWS, contaminated_texts, in_parts
from distillery_worker.data.documents import blocks_of
from distillery_worker.data.files import Rows
from distillery_worker.data.images import contaminated_images, image_key
from distillery_worker.data.language_tokenizer import LanguageTokenizer
from distillery_worker.data.text import row_key
from distillery_worker.errors import InputRefused
from distillery_worker.evaluation.recorded import recorded
from distillery_worker.stages import preflight as stage
from distillery_worker.stages.held_out import check_contamination
from distillery_worker.stages.preflight import preflight
from distillery_worker.tasks.classification import Classification
from distillery_worker.tasks.next_token import NextToken
from PIL import Image

WORDS = [f"word{number}" for number in range(200)]
SHORT = "The parcel arrived two days late, and wet."
LONG = " ".join(WORDS)


def rows(*texts: str, groups: list[str] | None = None) -> Rows:
    return Rows(list(texts), None, "sha256:" + "0" * 64, [row_key(text) for text in texts], groups)


def pairs(*texts: tuple[str, str]) -> Rows:
    return Rows(list(texts), None, "", [row_key(text) for text in texts])


@pytest.mark.parametrize(
    ("learned", "found"),
    [
        pytest.param("the  PARCEL arrived two days late, and wet.", [True, False], id="equal but for case and space"),
        pytest.param("The parcel arrived two days late and wet", [True, False], id="nearly equal"),
        pytest.param("The parcel arrived on Monday", [False, False], id="another text"),
        pytest.param("so " + " ".join(WORDS[60:73]) + " it is", [False, True], id="13 words in a row of a document"),
        pytest.param(" ".join(WORDS[60:72]), [False, False], id="12 words in a row"),
        pytest.param(LONG.upper(), [False, True], id="a document in capitals"),
    ],
)
def test_a_held_out_text_is_found_in_what_is_learned(learned: str, found: list[bool]) -> None:
    assert contaminated_texts(rows(SHORT, LONG), [rows("none"), rows("of them", learned)]) == found


def test_a_document_that_stands_in_too_many_rows_to_tell_by_its_words_is_still_found() -> None:
    copies = rows(*[f"{' ' * number}{LONG}" for number in range(BOILERPLATE_ROWS + 5)])
    assert contaminated_texts(rows(SHORT, LONG), [copies]) == [False, True]


def test_rows_of_a_known_group_and_pairs_of_a_known_query_and_text_are_found() -> None:
    grouped = rows("x one", "y two", groups=["ann", "bob"])
    assert contaminated_texts(grouped, [rows("z three", groups=["bob"])]) == [False, True]
    asked = pairs(("what is it", "a parcel"), ("where is it", "a wet parcel"))
    assert contaminated_texts(asked, [pairs(("What is it", "a parcel"))]) == [True, False]


def test_so_many_held_out_texts_are_searched_for_part_by_part(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"{number} {word} of the same kind" for number, word in enumerate(WORDS)]
    whole = contaminated_texts(rows(*texts), [rows(*texts[50:60])])
    assert whole == [50 <= number < 60 for number in range(200)]
    monkeypatch.setattr(contamination, "PART_CHARACTERS", 5000)
    assert len(list(in_parts(texts))) > 10
    assert [text for part in in_parts(texts) for text in part] == texts
    assert contaminated_texts(rows(*texts), [rows(*texts[50:60])]) == whole


def test_a_picture_is_found_in_another_file() -> None:
    first, second, third = (image for image, _ in micro_images.images(3))
    again = io.BytesIO()
    Image.open(io.BytesIO(second)).save(again, "PNG", compress_level=0)
    assert again.getvalue() != second
    held, learned = ([first, second], [third, again.getvalue()])
    files = [Rows(images, None, "", [image_key(image) for image in images]) for images in (held, learned)]
    assert contaminated_images(files[0], files[1:]) == [False, True]


def test_blocks_of_a_known_document_are_known_and_stand_so_among_the_items(tmp_path: Path) -> None:
    micro_language.write_tokenizer(tmp_path)
    known = contaminated_texts(rows("a b c"), [rows("a b c")])
    documents = rows(micro_language.document(1, 30), micro_language.document(2, 30))
    documents = Rows(documents.inputs, None, "", documents.keys, contaminated=[False, *known])
    blocks = blocks_of(documents, LanguageTokenizer(tmp_path, 8))
    assert blocks.contaminated is not None
    assert [group == documents.keys[1] for group in blocks.groups or ()] == blocks.contaminated
    assert True in blocks.contaminated
    assert recorded(NextToken(), blocks, range(len(blocks)), {})["contaminated"] == blocks.contaminated
    assert documents.take([1]).contaminated == [True]


def test_rows_that_nobody_looked_up_are_recorded_without_saying_so() -> None:
    test = Rows(["x"], np.zeros(1, dtype=np.int64), "", ["key"])
    assert "contaminated" not in recorded(Classification(["a", "b"]), test, [0], {})


@pytest.mark.parametrize(("most", "refused"), [(None, False), (0.0, True), (0.04, True), (0.05, False)])
def test_preflight_refuses_more_known_rows_than_the_gate_allows(most: float | None, refused: bool) -> None:
    test = rows(*[f"text {number}" for number in range(100)])
    asked = (test, [number < 5 for number in range(100)], Classification(["a", "b"]), GateSpec(max_contamination=most))
    if not refused:
        check_contamination(*asked)
        return
    with pytest.raises(InputRefused, match=r"5 of 100 rows stand in .* set dataset\.filters\.contamination") as caught:
        check_contamination(*asked)
    assert caught.value.reason == "TestInTraining"


@pytest.fixture
def leaky(source: Path, tmp_path: Path) -> Path:
    """The source folder, four of whose held-out rows are also learned from, in capitals."""
    folder = Path(shutil.copytree(source, tmp_path / "leaky"))
    sentences = micro.sentences()
    shouted = [(text.upper(), label) for text, label in sentences[140:144]]
    micro.write_rows(folder / "train.parquet", [*sentences[:40], *shouted])
    return folder


def test_preflight_searches_once_for_each_student_and_held_out_file(
    leaky: Path, storage: Path, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = micro.make_run("preflight", leaky, storage)
    found = preflight(run, context)
    student = student_prefix(open_prefix(f"file://{storage}"), found.student_key)
    test = Rows([""] * 200, None, stage.load_files(run, None, ("test",), context)["test"].digest, [""] * 200)
    record = read_contamination(student, test)
    assert record is not None
    assert record.rows == [0, 1, 2, 3]
    assert record.learned.keys() == {"train", "unlabelled"}
    monkeypatch.setattr(stage, "store_contamination", None)
    assert preflight(run, context) == found


def test_a_gate_on_known_rows_is_asked_before_anything_is_paid_for(
    leaky: Path, storage: Path, context: Context
) -> None:
    with pytest.raises(InputRefused, match="4 of 200 rows stand in"):
        preflight(micro.make_run("preflight", leaky, storage, gate={"maxContamination": 0.01}), context)
    files = {name: f"file://{leaky}/{name}.parquet" for name in ("train", "unlabelled", "test")}
    filtered = {"dataset": files | {"filters": {"contamination": {}}}, "gate": {"maxContamination": 0.0}}
    assert preflight(micro.make_run("preflight", leaky, storage, **filtered), context).dropped_rows["contamination"] > 3


def test_a_held_out_file_that_preflight_did_not_read_is_not_judged_by(storage: Path) -> None:
    student = open_prefix(f"file://{storage}")
    with pytest.raises(
        InputRefused, match=r"dataset\.test: s3://b/test, .* is not the file that preflight read"
    ) as caught:
        known_rows(student, rows("x"), "s3://b/test", None)
    assert caught.value.reason == "DigestMismatch"
