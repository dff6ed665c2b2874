"""Rows that a teacher wrote: which are sound, good, new and evenly enough spread to learn from."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple

from .near_duplicates import first_of_like
from .shingles import jaccard, normal_form, shingles, words
from .sifting import Step, sift

ECHO = 0.8  # similarity of an answer to its prompt
REPEATED_RUN = 4  # words
DISTINCT_RUN = 2  # words
# How assistants decline, in English: at the start, where it is no quotation.
REFUSAL = re.compile(
    r"(i am|i'm) (very )?sorry|sorry, (but )?i|i (cannot|can't|can not|won't) (help|assist|provide|answer|do|fulfill)"
    r"|(i am|i'm) (unable|not able) to|as an ai\b|(i am|i'm) (just |only )?an ai\b"
)


class GeneratedRow(NamedTuple):
    """One prompt and its answer."""

    prompt: str
    answer: str
    category: str
    finished: bool  # not cut at the limit of tokens
    score: float | None = None  # the judge's, in [0, 1]; None where it gave none


@dataclass(frozen=True)
class Standards:
    """What generated rows must meet; None switches a filter off."""

    min_words: int = 1  # of an answer
    max_repetition: float = 0.3  # share of the answer's runs of 4 words that came before in it
    similarity: float = 0.5  # from which on a prompt is no news beside an earlier one (cf. Wang et al. 2023)
    min_score: float | None = None
    max_category: float | None = None  # rows of a category, as a multiple of the median category


def select(
    rows: Iterable[GeneratedRow], known_prompts: Iterable[str], standards: Standards
) -> tuple[list[GeneratedRow], dict[str, int]]:
    """The rows to learn from, in order, and how many each filter dropped. `known_prompts`: what was there before."""
    return sift(list(rows), filters_of(known_prompts, standards))


def filters_of(known_prompts: Iterable[str], standards: Standards) -> Iterator[Step[GeneratedRow]]:
    """From the cheapest to the dearest; the balance is over what is left at the end."""
    yield "unfinished", lambda rows: [row.finished for row in rows]
    yield "short", lambda rows: [len(words(row.answer)) >= standards.min_words for row in rows]
    yield "refusals", lambda rows: [not is_refusal(row.answer) for row in rows]
    yield "echoes", lambda rows: [jaccard(shingles(row.prompt), shingles(row.answer)) < ECHO for row in rows]
    yield "repetition", lambda rows: [repetition(row.answer) <= standards.max_repetition for row in rows]
    if (least := standards.min_score) is not None:
        yield "judge", lambda rows: [row.score is not None and row.score >= least for row in rows]
    yield "duplicates", lambda rows: first_of_like([row.prompt for row in rows], standards.similarity, known_prompts)
    if (most := standards.max_category) is not None:
        yield "balance", lambda rows: balanced(rows, most)


def is_refusal(answer: str) -> bool:
    """Whether the answer begins as assistants decline to answer, in English."""
    return REFUSAL.match(normal_form(answer).replace("\u2019", "'")) is not None


def repetition(text: str) -> float:
    """Share of the text's runs of REPEATED_RUN words that came before in it (cf. Rae et al. 2021, table A1): [0, 1)."""
    runs = word_runs(text, REPEATED_RUN)
    return 1 - len(set(runs)) / len(runs) if runs else 0.0


def distinct(texts: Iterable[str]) -> float:
    """Diversity: different runs of two words over all of them, as distinct-2 of Li et al. 2016; 0 without any."""
    counts = Counter(run for text in texts for run in word_runs(text, DISTINCT_RUN))
    return len(counts) / counts.total() if counts else 0.0


def word_runs(text: str, size: int) -> list[tuple[str, ...]]:
    """All runs of `size` words, repeated ones included."""
    found = words(text)
    return [tuple(found[start : start + size]) for start in range(len(found) - size + 1)]


def balanced(rows: Sequence[GeneratedRow], most: float) -> list[bool]:
    """Which rows stay when no category may have more than `most` times the median category; the best scored do."""
    members = defaultdict[str, list[int]](list)
    for number, row in enumerate(rows):
        members[row.category].append(number)
    limit = max(1, int(most * median(map(len, members.values())))) if members else 0
    kept = set[int]()
    for numbers in members.values():
        kept.update(sorted(numbers, key=lambda number: -(rows[number].score or 0.0))[:limit])
    return [number in kept for number in range(len(rows))]
