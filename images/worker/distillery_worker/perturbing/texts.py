"""Texts as people mistype, shout and cut them. Every function gives a new text for a text and a source of chance."""

import re
from collections.abc import Callable
from itertools import pairwise
from math import ceil

from numpy.random import RandomState

MISTYPED = 0.1  # of the words, at least one
KEPT = 2 / 3  # of the words, from the beginning
FEW_WORDS = 2  # up to which a text is cut by characters: two thirds of two words are two words
WORD = re.compile(r"\S+")
ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")  # each half a key to the right of the one above


def neighbours() -> dict[str, str]:
    """The letters around each letter of a QWERTY keyboard."""
    places = {key: (column + row / 2, row) for row, keys in enumerate(ROWS) for column, key in enumerate(keys)}

    def beside(one: str, other: str) -> bool:
        (x, row), (other_x, other_row) = places[one], places[other]
        return one != other and abs(row - other_row) <= 1 and abs(x - other_x) <= 1

    return {one: "".join(other for other in places if beside(one, other)) for one in places}


NEIGHBOURS = neighbours()


def typos(text: str, chance: RandomState) -> str:
    """One word of ten, at least one, with a letter hit beside its key (Belinkov & Bisk 2018, arXiv 1711.02173).

    Of a word without a letter from a to z two letters are exchanged; one without two different ones stays as it is.
    """
    words = [word for word in WORD.finditer(text) if hits(word[0]) or exchanges(word[0])]
    if not words:
        return text
    count = max(1, round(MISTYPED * len(words)))
    for place in sorted(chance.permutation(len(words))[:count], reverse=True):  # places before stay where they are
        start, end = words[place].span()
        text = text[:start] + mistyped(text[start:end], chance) + text[end:]
    return text


def hits(word: str) -> list[int]:
    """Where a letter has neighbours on the keyboard."""
    return [place for place, letter in enumerate(word) if letter.lower() in NEIGHBOURS]


def exchanges(word: str) -> list[int]:
    """Where a letter is followed by another one."""
    pairs = enumerate(pairwise(word))
    return [place for place, (one, other) in pairs if one != other and one.isalpha() and other.isalpha()]


def mistyped(word: str, chance: RandomState) -> str:
    """A word with one typo; it must have a place for one."""
    if places := hits(word):
        place = places[chance.randint(len(places))]
        keys = NEIGHBOURS[word[place].lower()]
        key = keys[chance.randint(len(keys))]
        return word[:place] + (key.upper() if word[place].isupper() else key) + word[place + 1 :]
    places = exchanges(word)
    place = places[chance.randint(len(places))]
    return word[:place] + word[place + 1] + word[place] + word[place + 2 :]


def case(text: str, chance: RandomState) -> str:
    """In upper, lower or swapped case, whichever of them differ from the text."""
    forms = [form for form in dict.fromkeys((text.upper(), text.lower(), text.swapcase())) if form != text]
    return forms[chance.randint(len(forms))] if forms else text


def truncation(text: str, chance: RandomState) -> str:
    """The first two thirds of the words; of a text of one or two words, of the characters. Rounded up."""
    words = list(WORD.finditer(text))
    if len(words) > FEW_WORDS:
        return text[: words[ceil(KEPT * len(words)) - 1].end()]
    stripped = text.strip()
    return stripped[: ceil(KEPT * len(stripped))]


ON_TEXTS: dict[str, Callable[[str, RandomState], str]] = {"typos": typos, "case": case, "truncation": truncation}
