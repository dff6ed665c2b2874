"""Test rows that are, in other words or in part, among the rows to learn from."""

from collections import Counter
from collections.abc import Iterable

from .near_duplicates import NearDuplicates
from .shingles import ngrams

SIMILARITY = 0.8
# A run of words in more rows than that is boilerplate, and tells nothing (Brown et al. 2020, appendix C).
BOILERPLATE_ROWS = 10


class HeldOut:
    """The test texts, as far as they can be recognised in others."""

    def __init__(self, held_out: Iterable[str], learned: Iterable[str]) -> None:
        self._near = NearDuplicates(SIMILARITY)
        grams = set[str]()
        for text in held_out:
            self._near.add(text)
            grams |= ngrams(text)
        seen = Counter(gram for text in learned for gram in ngrams(text) & grams)
        self._grams = {gram for gram in grams if seen[gram] <= BOILERPLATE_ROWS}

    def has(self, text: str) -> bool:
        """Whether the text nearly equals a test text, or has 13 words in a row of one, or all of a shorter one."""
        return not self._grams.isdisjoint(ngrams(text)) or self._near.has_like(text)
