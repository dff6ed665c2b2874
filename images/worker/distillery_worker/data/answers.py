"""What a teacher wrote, and what a judge thinks of it: which answers are sound enough to learn from."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from distillery_api.digests import digest_of
from distillery_api.filters import Answers

from ..labels.segments import RowLabels
from .near_duplicates import first_of_like
from .shingles import jaccard, shingles, words
from .sifting import Step

REPEATED_RUN = 4  # words


class Answer(NamedTuple):
    """One prompt and what the teacher wrote after it."""

    prompt: str
    text: str
    finished: bool  # the teacher ended it, and not the limit of tokens
    log_likelihood: float | None  # a token's mean, its end included, under the teacher at temperature 1; in nats
    slice: str = ""
    grade: int | None = None  # by the judge: 1 to 10, 0 where it gave none; None where it was not asked

    @property
    def key(self) -> str:
        """Name of a grade in the label store: hex SHA-256 of prompt and answer, whose canonical form is hashed."""
        return digest_of({"prompt": self.prompt, "answer": self.text}).removeprefix("sha256:")


def stored_answer(prompt: str, labels: RowLabels, value: str = "") -> Answer:
    """The answer of a row of a slice, with its grade where the labels have one beside it."""
    # An endpoint tells no likelihood. NaN, which equals nothing, would make equal answers differ.
    text, finished, likelihood = (labels[name].item() for name in ("answer", "finished", "log_likelihood"))
    told = None if math.isnan(likelihood) else likelihood
    return Answer(prompt, text, finished, told, value, labels["grade"].item() if "grade" in labels else None)


def answer_filters(wanted: Answers) -> Iterator[Step[Answer]]:
    """In their order: those that need the answer alone, what its judge said, and how it stands to other answers."""
    yield from sound_filters(wanted)
    if (judge := wanted.judge) is not None:
        yield "ungraded", lambda answers: [bool(answer.grade) for answer in answers]
        yield "judge", lambda answers: [(answer.grade or 0) >= judge.min_score for answer in answers]
    if (near := wanted.near) is not None:
        yield "alike", lambda answers: first_of_like([answer.text for answer in answers], near.threshold)
    if (share := wanted.max_per_slice) is not None:
        yield "balance", lambda answers: first_of_each([answer.slice for answer in answers], share)


def sound_filters(wanted: Answers) -> Iterator[Step[Answer]]:
    """Those that need the answer alone. One that is empty or has no end is never learned, the rest is as asked."""
    yield "unfinished", lambda answers: [answer.finished for answer in answers]
    yield "empty", lambda answers: [bool(answer.text.strip()) for answer in answers]
    if (most := wanted.max_echo) is not None:
        yield "echoes", lambda answers: [echo(answer) <= most for answer in answers]
    if (limit := wanted.max_repetition) is not None:
        yield "repetition", lambda answers: [repetition(answer.text) <= limit for answer in answers]
    if (least := wanted.min_likelihood) is not None:
        yield "unlikely", lambda answers: [likely(answer, least) for answer in answers]


def likely(answer: Answer, least: float) -> bool:
    """Whether the teacher finds it so likely."""
    return answer.log_likelihood is not None and answer.log_likelihood >= least


def first_of_each(slices: Sequence[str], most: int) -> list[bool]:
    """Which are among the first `most` of their slice."""
    seen = Counter[str]()
    kept = []
    for value in slices:
        seen[value] += 1
        kept.append(seen[value] <= most)
    return kept


def echo(answer: Answer) -> float:
    """How similar an answer is to its prompt, by the Jaccard index of their shingles: [0, 1]."""
    return jaccard(shingles(answer.prompt), shingles(answer.text))


def repetition(text: str) -> float:
    """Share of the text's runs of REPEATED_RUN words that came before in it (cf. Rae et al. 2021, table A1): [0, 1)."""
    runs = word_runs(words(text), REPEATED_RUN)
    return 1 - len(set(runs)) / len(runs) if runs else 0.0


def word_runs(found: Sequence[str], size: int) -> list[tuple[str, ...]]:
    """All runs of `size` words, repeated ones included."""
    return [tuple(found[start : start + size]) for start in range(len(found) - size + 1)]
