"""Test rows that are, in other words or in part, among the rows to learn from."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from .files import Rows
from .near_duplicates import NearDuplicates
from .shingles import ngrams, normal_form
from .text import whole_text

SIMILARITY = 0.8
# A run of words in more rows than that is boilerplate, and tells nothing (Brown et al. 2020, appendix C).
BOILERPLATE_ROWS = 10
# Texts that are so similar and longer than that (characters) have runs in common: a change in every thirteenth word
# would leave too few shingles.
NEAR_LENGTH = 1000
PART_CHARACTERS = 10_000_000  # of test texts that are searched for at once: a few hundred MB
ROW_CHARACTERS = 300  # what an index takes for a text however short, in those


class SharedRuns:
    """Runs of 13 words that test texts have, and some learned ones, but not so many that they are boilerplate."""

    def __init__(self, held_out: Iterable[str], learned: Iterable[str]) -> None:
        grams = {gram for text in held_out for gram in ngrams(text)}
        seen = Counter(gram for text in learned for gram in ngrams(text) & grams)
        self._grams = {gram for gram, rows in seen.items() if rows <= BOILERPLATE_ROWS}

    def has(self, text: str) -> bool:
        """Whether the text has one; of a text with fewer words all of them count as one."""
        return not self._grams.isdisjoint(ngrams(text))


class HeldOut:
    """The test texts, as far as they can be recognised in others."""

    def __init__(self, held_out: Sequence[str], learned: Iterable[str]) -> None:
        self._runs, self._near = SharedRuns(held_out, learned), NearDuplicates(SIMILARITY)
        for text in held_out:
            self._near.add(text)

    def has(self, text: str) -> bool:
        """Whether a learned text nearly equals a test text, or has 13 words in a row of one, or all of a shorter."""
        return self._runs.has(text) or self._near.has_like(text)


def contaminated_texts(test: Rows, learned: Sequence[Rows]) -> list[bool]:
    """Which test rows have their key, their group or their text among the rows to learn from: [rows]"""
    texts = [whole_text(text) for rows in learned for text in rows.inputs]
    parts = in_parts([whole_text(text) for text in test.inputs])
    found = [known for part in parts for known in recognised(part, texts)]
    return [any(ways) for ways in zip(found, *named_alike(test, learned), strict=True)]


def recognised(held_out: Sequence[str], learned: Sequence[str]) -> list[bool]:
    """Which test texts are, but for case and white space, or nearly, or in part, learned: [held_out]"""
    forms, runs = [normal_form(text) for text in held_out], SharedRuns(held_out, learned)
    equal = set(forms).intersection(map(normal_form, learned))
    near = nearly_equal(held_out, learned)
    return [
        form in equal or number in near or runs.has(text)
        for number, (form, text) in enumerate(zip(forms, held_out, strict=True))
    ]


def nearly_equal(held_out: Sequence[str], learned: Sequence[str]) -> set[int]:
    """Numbers of the short test texts that a learned text nearly equals."""
    near = NearDuplicates(SIMILARITY)
    short = [number for number, text in enumerate(held_out) if len(text) <= NEAR_LENGTH]
    for number in short:
        near.add(held_out[number])
    # A learned text that is so similar to a short one may be somewhat longer.
    return {short[place] for text in learned if len(text) <= 2 * NEAR_LENGTH for place in near.like(text)}


def in_parts(texts: Iterable[str]) -> Iterator[list[str]]:
    """Runs of texts that are searched for at once."""
    part, size = list[str](), 0
    for text in texts:
        part.append(text)
        size += len(text) + ROW_CHARACTERS
        if size >= PART_CHARACTERS:
            yield part
            part, size = [], 0
    if part:
        yield part


def named_alike(test: Rows, learned: Sequence[Rows]) -> tuple[list[bool], list[bool]]:
    """Which test rows have the key, and which the group, of a row to learn from: [rows] each"""
    keys = {key for rows in learned for key in rows.keys}
    groups = {group for rows in learned for group in rows.groups or ()}
    grouped = [group in groups for group in test.groups or ()]
    return [key in keys for key in test.keys], grouped or [False] * len(test)
