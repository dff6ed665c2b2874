"""Nearly equal texts and test rows among the rows to learn from: what counts as the same, and what does not."""

import pytest
from distillery_worker.data.contamination import BOILERPLATE_ROWS, HeldOut
from distillery_worker.data.language import in_another_language
from distillery_worker.data.near_duplicates import NearDuplicates
from distillery_worker.data.shingles import jaccard, ngrams, shingles

WORDS = [f"word{number}" for number in range(40)]
LONG = " ".join(WORDS)


@pytest.mark.parametrize(
    ("one", "other", "similarity"),
    [
        pytest.param("abcdef", "abcdef", 1.0, id="equal texts"),
        pytest.param("abcdef", "ABCDEF", 1.0, id="letter case means nothing"),
        pytest.param("ab  cdef\n", "ab cdef", 1.0, id="nor does white space"),
        pytest.param("abcdef", "xbcdef", 1 / 3, id="one letter of six changes one of two shingles"),
        pytest.param("abc", "abd", 0.0, id="texts shorter than a shingle are equal or not"),
        pytest.param("abcdefg", "bcdefgh", 2 / 4, id="two of four different shingles"),
    ],
)
def test_similarity_is_that_of_the_character_shingles(one: str, other: str, similarity: float) -> None:
    assert jaccard(shingles(one), shingles(other)) == pytest.approx(similarity)


def test_texts_are_found_from_the_threshold_on_and_not_below() -> None:
    known = "the quick brown fox jumps over the lazy dog near the river bank today"
    close, far = (
        known.replace("today", "again"),
        known.replace("brown fox jumps over the lazy", "white cat walks behind a young"),
    )
    similar = [jaccard(shingles(known), shingles(text)) for text in (close, far)]
    assert similar[0] > 0.8 > 0.5 > similar[1]
    index = NearDuplicates(0.8)
    index.add(known)
    assert index.has_like(close)
    assert not index.has_like(far)


def test_of_a_thousand_pairs_above_the_threshold_99_percent_are_found() -> None:
    originals = [" ".join(f"{number * 7919 + word * 104729:x}" for word in range(12)) for number in range(1000)]
    changed = [f"{text[:20]}z{text[21:-5]}x{text[-4:]}" for text in originals]
    similar = [jaccard(shingles(one), shingles(other)) for one, other in zip(originals, changed, strict=True)]
    assert 0.7 < min(similar) < max(similar) < 0.9
    index = NearDuplicates(min(similar))
    for text in originals:
        index.add(text)
    assert sum(index.has_like(text) for text in changed) >= 990


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param(" ".join(["other", *WORDS[5:18], "words"]), True, id="13 words in a row"),
        pytest.param(" ".join(["other", *WORDS[5:17], "words"]), False, id="12 words in a row"),
        pytest.param(", ".join(WORDS[5:18]).upper(), True, id="13 words in other punctuation and case"),
        pytest.param("A short test row!", True, id="a short row that is equal but for punctuation"),
        pytest.param(
            "a short test row, and something quite different after it", False, id="a short row within another"
        ),
        pytest.param(f"{LONG} and", True, id="nearly all of a test row"),
    ],
)
def test_a_test_row_is_recognised(text: str, found: bool) -> None:
    assert HeldOut([LONG, "a short test row"], [text]).has(text) is found


def test_words_that_many_rows_share_are_boilerplate() -> None:
    frame = " ".join(WORDS[:13])
    rows = [f"{frame} {'about topic ' * 20} number {number}" for number in range(BOILERPLATE_ROWS + 1)]
    test = [f"{frame} followed by words that no other row has, whatever they may be about in the end"]
    assert not HeldOut(test, rows).has(rows[0])
    assert HeldOut(test, rows[:-1]).has(rows[0])


def test_a_text_without_words_shares_none() -> None:
    assert ngrams("...!") == frozenset()
    assert not HeldOut(["?!"], ["...!"]).has("...!")


@pytest.mark.parametrize(
    ("text", "languages", "other"),
    [
        pytest.param("Ich möchte mein Geld zurück, und zwar heute", ["en"], True, id="German is not English"),
        pytest.param("Ich möchte mein Geld zurück, und zwar heute", ["en", "de"], False, id="German is wanted"),
        pytest.param("I would like to have my money back today", ["en"], False, id="English is English"),
        pytest.param("ok", ["de"], False, id="a text too short to tell"),
    ],
)
def test_only_a_text_that_is_plainly_in_another_language_counts_as_such(
    text: str, languages: list[str], other: bool
) -> None:
    assert in_another_language(text, languages) is other
