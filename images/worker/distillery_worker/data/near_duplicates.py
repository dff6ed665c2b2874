"""Nearly equal texts, by MinHash and locality-sensitive hashing (Leskovec et al., Mining of Massive Datasets, 3.4)."""

from collections.abc import Iterable, Iterator

from datasketch import MinHash, MinHashLSH

from .shingles import jaccard, shingles

PERMUTATIONS = 128
FOUND = 0.99  # of pairs that are just as similar as the threshold asks


class NearDuplicates:
    """Texts added so far, searched by the Jaccard similarity of their character shingles. The same in every process."""

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold
        self._index = MinHashLSH(num_perm=PERMUTATIONS, params=bands(threshold))
        self._blank = MinHash(PERMUTATIONS, seed=1)
        self._texts: list[str] = []

    def add(self, text: str) -> None:
        """Make a text one to be found."""
        self._index.insert(len(self._texts), self._signature(shingles(text)), check_duplication=False)
        self._texts.append(text)

    def has_like(self, text: str) -> bool:
        """Whether an added text is at least as similar as the threshold: never by a guess, and seldom missed."""
        return any(True for _ in self.like(text))

    def like(self, text: str) -> Iterator[int]:
        """Numbers, in the order of adding and from 0, of the added texts that are."""
        wanted = shingles(text)
        for number in self._index.query(self._signature(wanted)):
            if jaccard(wanted, shingles(self._texts[number])) >= self.threshold:
                yield number

    def _signature(self, elements: frozenset[str]) -> MinHash:
        signature = self._blank.copy()
        signature.update_batch([element.encode() for element in elements])
        return signature


def first_of_like(texts: Iterable[str], threshold: float) -> list[bool]:
    """Which texts are not nearly equal to one before them that is kept."""
    kept = NearDuplicates(threshold)
    new = []
    for text in texts:
        new.append(not kept.has_like(text))
        if new[-1]:
            kept.add(text)
    return new


def bands(threshold: float) -> tuple[int, int]:
    """Number of bands and rows a band: the longest bands by which FOUND of the pairs at the threshold collide.

    A pair of similarity s shares one of b bands of r rows with probability 1 - (1 - s^r)^b.
    """
    longest = PERMUTATIONS // 2  # datasketch wants two bands
    fits = (rows for rows in range(longest, 0, -1) if 1 - (1 - threshold**rows) ** (PERMUTATIONS // rows) >= FOUND)
    rows = next(fits)
    return PERMUTATIONS // rows, rows
