"""The judge of a job: which answers it has yet to grade, and the grades that it gave; each is paid for once."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from distillery_api.digests import digest_of
from distillery_api.filters import Answers, Filters
from distillery_api.judge import JUDGE_API_KEY
from distillery_api.judge import Judge as JudgeSpec
from distillery_storage import Prefix

from ..context import Context
from ..data.answers import Answer, sound_filters, stored_answer
from ..data.files import Rows
from ..data.sifting import sift
from ..labels.codecs import GradesCodec
from ..labels.segments import RowLabels
from ..labels.store import LabelSet, LabelStore, refuse_missing
from ..labels.writer import SegmentWriter
from ..teachers.asking import Interview, Terms
from ..teachers.chat_endpoint import ChatEndpoint, connect
from ..teachers.panel import Panel
from ..training.examples import Lookup
from .grades import Grade, GradeQuestions, Heard

TRIED = 2  # answers that preflight has graded


@dataclass(frozen=True)
class Judge:
    """A chat model that grades the answers of one label set, those that no other filter drops for itself alone."""

    spec: JudgeSpec
    filters: Answers
    answers: LabelSet

    @property
    def questions(self) -> GradeQuestions:
        """What it is asked."""
        return GradeQuestions(self.spec.instruction)

    @property
    def labels(self) -> LabelSet:
        """Its grades. As of an endpoint that teaches, the weights behind a name are the server's to keep."""
        asked = {"url": self.spec.endpoint.url, "model": self.spec.endpoint.model, "prompt": self.questions.prompt}
        return LabelSet(codec=GradesCodec(answers=self.answers.key), teacher=digest_of(asked))

    def ungraded(self, storage: Prefix, rows: Mapping[str, Sequence[str]]) -> dict[str, Answer]:
        """By their keys: stored answers to the prompts of these rows that are sound, and have no grade yet."""
        stored = LabelStore.at(storage, self.answers).lookup(list(rows))
        found = self.sound([stored_answer(rows[key][0], labels) for key, labels in stored.items()])
        graded = LabelStore.at(storage, self.labels).keys()
        return {answer.key: answer for answer in found if answer.key not in graded}

    def sound(self, answers: list[Answer]) -> list[Answer]:
        """Those that are worth a question."""
        return sift(answers, sound_filters(self.filters))[0]

    def check(self, answers: list[Answer]) -> None:
        """Have a few graded, sound ones if there are any.

        Raises InputRefused (AnswersUnusable) where none gets a grade.
        """
        heard, tried = self._heard(), (self.sound(answers) or answers)[:TRIED]
        rows = {answer.key: answer for answer in tried}
        Interview(rows, self.questions, lambda *_: None, heard.add, Terms(), threading.Event()).run(self._server())
        heard.check(1 / len(rows))

    def grade(self, answers: Mapping[str, Answer], writer: SegmentWriter, context: Context) -> None:
        """Some answers at a time, within what is left of the budget. Raises InputRefused and Interrupted."""
        heard = self._heard()

        def write(keys: list[str], grades: list[Grade], tokens: int) -> None:
            writer.write(keys, [stored_grade(grade) for grade in grades], tokens)

        def watch(grades: list[Grade]) -> None:
            context.progress.advance(len(grades))
            heard.add(grades)

        writer.store.describe()
        budget = self.spec.endpoint.token_budget
        terms = Terms(self.spec.endpoint.concurrency, None if budget is None else writer.tokens_left(budget))
        Interview(answers, self.questions, write, watch, terms, context.stop).run(self._server())

    def graded(self, storage: Prefix, look_up: Lookup) -> Lookup:
        """The look-up of answers, with the grade beside each that has one.

        It raises InputRefused (LabelsMissing) where one that was worth a question has none.
        """

        def with_grades(rows: Rows) -> list[RowLabels]:
            found = look_up(rows)
            labels = [found[row] for row in range(len(rows))]
            answers = [stored_answer(row[0], each) for row, each in zip(rows.inputs, labels, strict=True)]
            wanted = {answer.key for answer in self.sound(answers)}
            grades = LabelStore.at(storage, self.labels).lookup(list(wanted))
            refuse_missing(wanted - grades.keys(), wanted)
            return [each | grades.get(answer.key, {}) for each, answer in zip(labels, answers, strict=True)]

        return with_grades

    def _heard(self) -> Heard:
        return Heard(self._who)

    @property
    def _who(self) -> str:
        return f"dataset.filters.answers.judge: '{self.spec.endpoint.model}'"

    def _server(self) -> ChatEndpoint:
        return connect(self._who, self.spec.endpoint, JUDGE_API_KEY)


def stored_grade(grade: Grade) -> dict[str, np.ndarray[Any, Any]]:
    """A grade as it is stored."""
    return {"grade": np.array([[grade.value]], dtype=np.int32)}


def judge_of(filters: Filters, panel: Panel) -> Judge | None:
    """The judge of what the panel's teacher writes, if the job has one."""
    if filters.answers is None or filters.answers.judge is None:
        return None
    writer = next(member for member in panel.members if member.spec.weight > 0)
    return Judge(filters.answers.judge, filters.answers, writer.labels)
