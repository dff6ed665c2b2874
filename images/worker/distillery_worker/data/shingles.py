"""What texts have in common: character shingles and word n-grams of their normal form."""

import re
import unicodedata

SHINGLE = 5  # characters
NGRAM = 13  # words, as in GPT-3's test for contamination (Brown et al. 2020, appendix C)
WORD = re.compile(r"\w+")


def normal_form(text: str) -> str:
    """The text without what does not change its meaning: NFKC, case folded, single spaces."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def shingles(text: str) -> frozenset[str]:
    """Runs of SHINGLE characters of the normal form; the whole of it where it is shorter."""
    normal = normal_form(text)
    return frozenset(normal[start : start + SHINGLE] for start in range(max(1, len(normal) - SHINGLE + 1)))


def words(text: str) -> list[str]:
    """The words of the normal form, without punctuation."""
    return WORD.findall(normal_form(text))


def ngrams(text: str) -> frozenset[str]:
    """Runs of NGRAM words without punctuation; all words where there are fewer, and none where there are no words."""
    found = words(text)
    runs = (found[start : start + NGRAM] for start in range(max(1, len(found) - NGRAM + 1)))
    return frozenset(" ".join(run) for run in runs if run)


def jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    """Size of the intersection over that of the union, in [0, 1]."""
    return len(one & other) / len(one | other)
