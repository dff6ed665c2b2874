"""A teacher behind an OpenAI-compatible endpoint: each row is a question, and each answer is paid for once."""

import threading
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from distillery_api.teachers import Endpoint
from distillery_api.teachers import Teacher as TeacherSpec

from ..context import Context
from ..errors import InputRefused
from ..labels.segments import RowLabels
from ..labels.writer import SegmentWriter
from ..tasks.head import Head
from .asking import Ask, Interview, Terms
from .chat_endpoint import ChatEndpoint, connect
from .outcomes import Finding, Outcome, Tally
from .teacher import Teacher

KeyedRow = tuple[str, Any]  # a row's key and its input
A = TypeVar("A", bound=Finding)


@dataclass
class EndpointTeacher(Teacher, Generic[A]):
    """A chat model. variable: the environment variable that holds its key"""

    name: str
    spec: Endpoint
    variable: str
    head: Head
    digest: str  # of what is asked of whom: the weights behind a name are the server's to keep as they are

    fix: ClassVar[str]  # what to do where few answers are usable

    @abstractmethod
    async def answer(self, ask: Ask, row: KeyedRow) -> A:
        """What it answers to a row."""

    @abstractmethod
    def stored(self, answer: A) -> RowLabels:
        """An answer as it is stored, one position a row."""

    @abstractmethod
    def usable(self, labels: RowLabels) -> bool:
        """Whether a stored answer is one."""

    def check(self, rows: Mapping[str, Any]) -> list[RowLabels]:
        """Answers to a few rows by key, in their order. Raises InputRefused (AnswersUnusable) if none is usable."""
        tally, found = self._tally(), dict[str, A]()

        def write(keys: list[str], answers: list[A], tokens: int) -> None:
            found.update(zip(keys, answers, strict=True))

        Interview(keyed(rows), self.answer, write, tally.add, Terms(), threading.Event()).run(self._server())
        tally.check(min(self.spec.min_usable_share, 1 / len(rows)))
        return [self.stored(found[key]) for key in rows]

    def check_stored(self, labels: Sequence[RowLabels]) -> None:
        """Raise InputRefused (AnswersUnusable) where too few stored answers are usable.

        An earlier job may have paid for them and failed by them; nobody asks again.
        """
        usable = sum(map(self.usable, labels))
        if usable < self.spec.min_usable_share * len(labels):
            raise InputRefused(
                "AnswersUnusable",
                f"teachers: '{self.name}' has answered {len(labels)} of these rows before, {usable} of them usably;"
                f" endpoint.minUsableShare asks for {self.spec.min_usable_share:.0%}: lower it, or {self.fix}",
            )

    def label(self, rows: Mapping[str, Any], writer: SegmentWriter, context: Context) -> None:
        """Some rows at a time, within what is left of the budget."""
        tally = self._tally()

        def write(keys: list[str], answers: list[A], tokens: int) -> None:
            unusable = sum(answer.outcome is not Outcome.ANSWERED for answer in answers)
            writer.write(keys, [self.stored(answer) for answer in answers], tokens, unusable)

        def watch(answers: list[A]) -> None:
            context.progress.advance(len(answers))
            tally.add(answers)

        budget = self.spec.token_budget
        terms = Terms(self.spec.concurrency, None if budget is None else writer.tokens_left(budget))
        Interview(keyed(rows), self.answer, write, watch, terms, context.stop).run(self._server())
        tally.check(self.spec.min_usable_share)

    def _tally(self) -> Tally:
        return Tally(self.spec.min_usable_share, self.fix)

    def _server(self) -> ChatEndpoint:
        return connect(f"teachers: '{self.name}'", self.spec, self.variable)


def keyed(rows: Mapping[str, Any]) -> dict[str, KeyedRow]:
    """Rows by key, each with its key: a question may depend on it."""
    return {key: (key, row) for key, row in rows.items()}


def endpoint_of(spec: TeacherSpec) -> Endpoint:
    """Where the teacher is."""
    assert spec.endpoint is not None  # noqa: S101 - whoever asks has seen it
    return spec.endpoint
