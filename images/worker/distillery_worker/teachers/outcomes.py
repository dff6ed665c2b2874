"""What came of the rows that an endpoint was asked for, and whether enough of its answers are usable."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from ..errors import InputRefused

EARLY = 50  # rows after which hopeless answers end the asking


class Outcome(StrEnum):
    """What came of a row."""

    ANSWERED = "answered"
    OUTSIDE = "outside"  # no label, asked twice
    AMBIGUOUS = "ambiguous"  # its first token begins several labels
    UNFINISHED = "unfinished"  # a text without its end
    EMPTY = "empty"  # a text without words
    REFUSED = "refused"  # the server does not answer this row


class Finding(Protocol):
    """What an endpoint answered to a row."""

    @property
    def outcome(self) -> Outcome:
        """Usable where it is ANSWERED."""

    @property
    def said(self) -> str:
        """The server's words, for messages."""


@dataclass
class Tally:
    """Counts of outcomes. `least`: the share that must be usable; `fix`: what to do where fewer are."""

    least: float
    fix: str
    counts: Counter[Outcome] = field(default_factory=Counter)
    example: Finding | None = None  # of an answer that is not usable

    def add(self, answers: Sequence[Finding]) -> None:
        """Count; raise InputRefused (AnswersUnusable) as soon as it is hopeless."""
        self.counts.update(answer.outcome for answer in answers)
        self.example = next((each for each in answers if each.outcome is not Outcome.ANSWERED), self.example)
        if self.counts.total() >= EARLY:
            self.check(self.least / 2)

    def check(self, least: float) -> None:
        """Raise InputRefused (AnswersUnusable), with counts and an example, where fewer than this share are usable."""
        total = self.counts.total()
        if self.example is None or self.counts[Outcome.ANSWERED] >= least * total:
            return
        found = ", ".join(f"{count} {outcome}" for outcome, count in sorted(self.counts.items()))
        raise InputRefused(
            "AnswersUnusable",
            f"teachers: answers to {total} rows: {found}; one that was {self.example.outcome}:"
            f" {self.example.said[:100]!r}; endpoint.minUsableShare asks for {self.least:.0%}: {self.fix}",
        )
