"""Which rows are learned from: each filter alone, their order and counts, and that every stage sees the same rows."""

from typing import Any, get_args

import numpy as np
import pytest
from distillery_api.filters import Filters, LanguageCode
from distillery_worker.data.files import Rows
from distillery_worker.data.filters import Curated, select_rows
from distillery_worker.data.language import identifier
from distillery_worker.data.teacher_filters import keep_by_teacher
from distillery_worker.data.text import row_key
from distillery_worker.errors import InputRefused
from distillery_worker.losses.objective import NO_GOLD

LONG = "the quick brown fox jumps over the lazy dog near the river bank today"
TEST = "a sentence of fourteen words which nobody in this room has ever read before now"
GERMAN = "dieser Satz ist ganz ohne Zweifel in deutscher Sprache geschrieben"


def rows(texts: list[str], groups: list[str] | None = None) -> Rows:
    return Rows(texts, np.arange(len(texts)), "d", [row_key(text) for text in texts], groups)


def curated(filters: dict[str, Any], train: list[str], unlabelled: list[str] | None = None) -> Curated:
    files = {"train": rows(train), "test": rows([TEST])}
    if unlabelled:
        files["unlabelled"] = Rows(unlabelled, None, "d", [row_key(text) for text in unlabelled])
    return select_rows(files, Filters.model_validate(filters)).of(files)


@pytest.mark.parametrize(
    ("filters", "train", "left", "dropped"),
    [
        pytest.param({}, ["a", "a", GERMAN], ["a", "a", GERMAN], {}, id="without filters everything stays"),
        pytest.param(
            {"length": {"minCharacters": 2, "maxCharacters": 3}},
            ["a", "ab", "äöü", "abcd"],
            ["ab", "äöü"],
            {"length": 2},
            id="bounds on the length include themselves and count characters",
        ),
        pytest.param({"length": {"minCharacters": 2}}, ["a", LONG], [LONG], {"length": 1}, id="a lower bound alone"),
        pytest.param(
            {"language": {"keep": ["en"]}}, [LONG, GERMAN, "ok"], [LONG, "ok"], {"language": 1}, id="another language"
        ),
        pytest.param({"dedupe": {}}, ["a", "b", "a"], ["a", "b"], {"duplicates": 1}, id="equal rows"),
        pytest.param({"dedupe": {}}, ["a", "A "], ["a", "A "], {"duplicates": 0}, id="rows that are only alike"),
        pytest.param(
            {"dedupe": {"near": {}}},
            [LONG, LONG, LONG.upper(), f"{LONG}!"],
            [LONG],
            {"duplicates": 1, "nearDuplicates": 2},
            id="nearly equal rows",
        ),
        pytest.param(
            {"dedupe": {"near": {"threshold": 1}}},
            [LONG, LONG.upper(), f"{LONG}!"],
            [LONG, f"{LONG}!"],
            {"duplicates": 0, "nearDuplicates": 1},
            id="a threshold of one",
        ),
        pytest.param(
            {"contamination": {}},
            [LONG, f"{TEST}!", TEST],
            [LONG],
            {"contamination": 2},
            id="rows that repeat test rows",
        ),
    ],
)
def test_a_filter_drops_its_rows_and_counts_them(
    filters: dict[str, Any], train: list[str], left: list[str], dropped: dict[str, int]
) -> None:
    found = curated(filters, train)
    assert found.files["train"].inputs == left
    assert found.dropped == dropped


def test_query_and_text_are_read_as_one_text() -> None:
    pairs = [("a question", LONG), ("A question", LONG), ("something else entirely, asked at length", LONG)]
    files = {"train": Rows(pairs, np.arange(3), "d", [row_key(pair) for pair in pairs])}
    assert select_rows(files, Filters.model_validate({"dedupe": {"near": {}}})).rows["train"] == [0, 2]


def test_equal_images_are_found_by_their_keys() -> None:
    images = [b"one", b"other", b"one"]
    files = {"train": Rows(images, np.arange(3), "d", ["1", "2", "1"])}
    assert select_rows(files, Filters.model_validate({"dedupe": {}})).rows["train"] == [0, 1]


def test_what_belongs_to_a_row_stays_with_it() -> None:
    found = curated({"dedupe": {}}, ["a", "a", "b"]).files["train"]
    assert found.gold is not None
    assert found.gold.tolist() == [0, 2]
    assert found.keys == [row_key("a"), row_key("b")]


def test_of_equal_rows_the_labelled_one_stays() -> None:
    found = curated({"dedupe": {"near": {}}}, [LONG], [f"{LONG}!", "another text", LONG])
    assert [file.inputs for file in found.learned()] == [[LONG], ["another text"]]
    assert found.dropped == {"duplicates": 1, "nearDuplicates": 1}


def test_a_row_counts_once_for_the_first_filter_that_drops_it() -> None:
    filters = {"length": {"maxCharacters": 40}, "language": {"keep": ["en"]}, "dedupe": {}, "contamination": {}}
    found = curated(filters, ["a short row", "a short row", GERMAN, TEST])
    assert found.dropped == {"length": 2, "language": 0, "contamination": 0, "duplicates": 1}


def test_test_rows_are_never_dropped() -> None:
    filters = {"length": {"maxCharacters": 1}, "language": {"keep": ["de"]}, "dedupe": {"near": {}}}
    assert curated(filters, ["a"]).files["test"].inputs == [TEST]


def test_contamination_can_be_refused_with_its_count() -> None:
    with pytest.raises(InputRefused, match="2 rows repeat test rows") as caught:
        curated({"contamination": {"onFound": "Refuse"}}, [LONG, f"{TEST}!"], [TEST])
    assert caught.value.reason == "TestInTraining"
    assert curated({"contamination": {"onFound": "Refuse"}}, [LONG]).dropped == {"contamination": 0}


def test_rows_of_a_test_row_s_group_are_contaminated() -> None:
    files = {"train": rows(["a", "b"], ["x", "y"]), "test": rows([TEST], ["y"])}
    assert select_rows(files, Filters.model_validate({"contamination": {}})).rows["train"] == [0]


def test_the_languages_of_the_api_are_those_of_the_model() -> None:
    assert sorted(get_args(LanguageCode)) == sorted(identifier().labels)


LOGITS = np.log(np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.55, 0.45]], dtype=np.float32))
GOLD = np.array([0, 0, 0, NO_GOLD])


@pytest.mark.parametrize(
    ("filters", "kept", "dropped"),
    [
        pytest.param({}, [True] * 4, {}, id="no filter"),
        pytest.param(
            {"teacherConfidence": {"min": 0.58}}, [True, True, True, False], {"teacherConfidence": 1}, id="unsure rows"
        ),
        pytest.param(
            {"teacherMistakes": "Drop"},
            [True, False, False, True],
            {"teacherMistakes": 2},
            id="labelled rows it misses",
        ),
        pytest.param(
            {"teacherConfidence": {"min": 0.7}, "teacherMistakes": "Drop"},
            [True, False, False, False],
            {"teacherConfidence": 2, "teacherMistakes": 1},
            id="both, each row counted once",
        ),
    ],
)
def test_the_teacher_s_answers_decide(filters: dict[str, Any], kept: list[bool], dropped: dict[str, int]) -> None:
    has_gold = GOLD != NO_GOLD
    keeps, counts = keep_by_teacher(LOGITS[None], GOLD, has_gold, Filters.model_validate(filters))
    assert keeps.tolist() == kept
    assert counts == dropped


def test_no_usable_answer_is_no_confidence_and_no_mistake() -> None:
    silent, gold = np.full((1, 1, 3), np.nan, dtype=np.float32), np.array([1])
    for filters, kept in (({"teacherConfidence": {"min": 0.1}}, False), ({"teacherMistakes": "Drop"}, True)):
        keeps, _ = keep_by_teacher(silent, gold, gold != NO_GOLD, Filters.model_validate(filters))
        assert keeps.tolist() == [kept]
