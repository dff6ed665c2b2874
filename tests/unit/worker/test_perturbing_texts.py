"""Mistyped, shouted and cut texts: the same for the same row, and in every script still texts."""

import unicodedata
from typing import Any

import pytest
from distillery_worker.data.files import Rows
from distillery_worker.data.text import row_key
from distillery_worker.perturbing.rows import chance_of, perturbed
from distillery_worker.perturbing.texts import KEPT, NEIGHBOURS, ON_TEXTS, WORD
from hypothesis import given, settings
from hypothesis import strategies as st

LONG = "The quick brown fox jumps over the lazy dog and runs away from it, twice a day: " * 5  # 85 words
SCRIPTS = [
    "Съешь ещё этих мягких булок",
    "我喜欢这部电影",
    "cafe\u0301 ré",
    "👩‍👩‍👧 nice",
    "مرحبا بالعالم",
    "İstanbul ßtraße",
]


def changed(name: Any, text: str, key: str = "key") -> str:
    return ON_TEXTS[name](text, chance_of(name, key))


def words_that_differ(one: str, other: str) -> int:
    return sum(first != second for first, second in zip(WORD.findall(one), WORD.findall(other), strict=True))


def test_a_letter_is_beside_its_neighbours_on_the_keyboard() -> None:
    assert {one: set(NEIGHBOURS[one]) for one in "qgm"} == {"q": set("wa"), "g": set("fhtyvb"), "m": set("njk")}
    assert all(one in NEIGHBOURS[other] for one, others in NEIGHBOURS.items() for other in others)


def test_one_word_of_ten_is_mistyped_by_one_neighbouring_key() -> None:
    text = changed("typos", LONG)
    assert words_that_differ(LONG, text) == 8  # of 85
    hits = [(one, other) for one, other in zip(LONG, text, strict=True) if one != other]
    assert len(hits) == 8
    assert all(other.lower() in NEIGHBOURS[one.lower()] and one.isupper() == other.isupper() for one, other in hits)


@pytest.mark.parametrize("text", ["cat", "a", "Good film", "\tspaced   out\n"])
def test_a_short_text_has_one_typo_and_its_spaces(text: str) -> None:
    found = changed("typos", text)
    assert words_that_differ(text, found) == 1
    assert WORD.sub("", found) == WORD.sub("", text)


@pytest.mark.parametrize("text", ["Съешь", "我喜欢这部电影", "مرحبا"])
def test_letters_that_the_keyboard_lacks_are_exchanged(text: str) -> None:
    found = changed("typos", text)
    assert found != text
    assert sorted(found) == sorted(text)


@pytest.mark.parametrize("text", ["", "  ", "1984 3.50 €", "👍👍", "ыыы"])
def test_a_text_without_a_place_for_a_typo_stays_as_it_is(text: str) -> None:
    assert changed("typos", text) == text


def test_a_text_is_in_another_case_in_one_of_three_ways() -> None:
    found = {changed("case", "Good Film", f"key {row}") for row in range(50)}
    assert found == {"GOOD FILM", "good film", "gOOD fILM"}
    assert {changed("case", "good", f"key {row}") for row in range(20)} == {"GOOD"}
    assert changed("case", "我喜欢 12") == "我喜欢 12"


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("one two three", "one two"), ("one  two\nthree four", "one  two\nthree"), ("  1 2 3 4 5 6  ", "  1 2 3 4"),
        ("film", "fil"), ("good film", "good f"), ("a", "a"), ("", ""), ("我喜欢这部电影", "我喜欢这部"),
    ],
)  # fmt: skip
def test_two_thirds_of_the_words_are_kept_and_of_few_words_two_thirds_of_the_characters(text: str, kept: str) -> None:
    assert changed("truncation", text) == kept


@given(st.text(max_size=60) | st.sampled_from(SCRIPTS), st.sampled_from(list(ON_TEXTS)))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_whatever_the_text_is_it_stays_one_that_can_be_read(text: str, name: str) -> None:
    found = changed(name, text)
    assert found == changed(name, text)
    assert bool(found.strip()) == bool(text.strip())
    if name == "truncation":
        assert found in text
        assert len(found) >= KEPT * len(text.strip()) - 1 or len(WORD.findall(text)) > 2
    if name == "typos":
        assert len(found) == len(text)
        assert [unicodedata.category(each)[0] for each in found] == [unicodedata.category(each)[0] for each in text]


def rows(texts: list[str]) -> Rows:
    return Rows(texts, None, "", [row_key(text) for text in texts])


@pytest.mark.parametrize("name", ["typos", "case", "truncation"])
def test_a_row_is_changed_by_its_key_alone_whatever_stands_beside_it(name: Any) -> None:
    texts = [f"Row {number} is Not like the {number + 1} Others here" for number in range(40)]
    encoder: Any = object()
    together, same = perturbed(name, rows(texts), encoder)
    assert same is encoder
    backwards, _ = perturbed(name, rows(texts[::-1] + texts[:1]), encoder)
    assert backwards == [*together[::-1], together[0]]
    assert all(one != other for one, other in zip(together, texts, strict=True))


def test_the_same_text_is_changed_alike_in_every_version() -> None:
    """Accuracies on changed rows are compared between versions: a new stream of chance would be another test."""
    text = "Held-out rows are answered as they are"
    key = row_key(text)
    assert changed("typos", text, key) == "Held-out rows are answered as they qre"
    assert changed("case", text, key) == "HELD-OUT ROWS ARE ANSWERED AS THEY ARE"
