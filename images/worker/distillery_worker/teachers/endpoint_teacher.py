"""A teacher behind an OpenAI-compatible endpoint: each row is a question, and each answer is paid for once."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from distillery_api.digests import digest_of
from distillery_api.soft_labels import SoftLabels
from distillery_api.teachers import Endpoint
from numpy.typing import NDArray

from ..context import Context
from ..errors import InputRefused
from ..labels.codecs import LogitsCodec
from ..labels.segments import RowLabels
from ..labels.store import LabelSet
from ..labels.writer import SegmentWriter
from ..tasks.head import Head
from .asking import Interview, Terms
from .chat_endpoint import ChatEndpoint, connect
from .label_answers import LabelAnswer, LabelQuestions, Outcome, Tally
from .teacher import Teacher

Write = Callable[[list[str], list[LabelAnswer], int], None]


@dataclass
class EndpointTeacher(Teacher):
    """A chat model that names labels. variable: the environment variable that holds its key"""

    name: str
    spec: Endpoint
    variable: str
    head: Head
    questions: LabelQuestions
    digest: str

    def label_set(self, soft_labels: SoftLabels) -> LabelSet:
        """Its answers are stored as logits, like those of a classifier here."""
        codec = LogitsCodec(alignment="one position per row", vocabulary=self.head.outputs)
        return LabelSet(codec=codec, teacher=self.digest, labels=list(self.head.labels))

    def check(self, rows: Mapping[str, Any]) -> list[RowLabels]:
        """Ask for a few rows by key. Raises InputRefused (AnswersUnusable) if none gets a usable answer."""
        tally, found = Tally(self.spec.min_usable_share), list[LabelAnswer]()

        def write(keys: list[str], answers: list[LabelAnswer], tokens: int) -> None:
            found.extend(answers)

        Interview(rows, self.questions, write, tally.add, Terms(), threading.Event()).run(self._server())
        tally.check(min(self.spec.min_usable_share, 1 / len(rows)))
        return stored(found)

    def check_stored(self, outputs: NDArray[np.float32]) -> None:
        """Raise InputRefused (AnswersUnusable) where too few stored outputs [rows, outputs] are usable.

        An earlier job may have paid for them and failed by them; nobody asks again.
        """
        usable = int((~np.isnan(outputs).any(axis=1)).sum())
        if usable < self.spec.min_usable_share * len(outputs):
            raise InputRefused(
                "AnswersUnusable",
                f"teachers: '{self.name}' has answered {len(outputs)} of these rows before, {usable} of them usably;"
                f" endpoint.minUsableShare asks for {self.spec.min_usable_share:.0%}: lower it, or describe the labels"
                " in endpoint.instruction and ask again",
            )

    def label(self, rows: Mapping[str, Any], writer: SegmentWriter, context: Context) -> None:
        """Some rows at a time, within what is left of the budget."""
        tally = Tally(self.spec.min_usable_share)

        def write(keys: list[str], answers: list[LabelAnswer], tokens: int) -> None:
            unusable = sum(answer.outcome is not Outcome.ANSWERED for answer in answers)
            writer.write(keys, stored(answers), tokens, unusable)

        def watch(answers: list[LabelAnswer]) -> None:
            context.progress.advance(len(answers))
            tally.add(answers)

        budget = self.spec.token_budget
        terms = Terms(self.spec.concurrency, None if budget is None else writer.tokens_left(budget))
        Interview(rows, self.questions, write, watch, terms, context.stop).run(self._server())
        tally.check(self.spec.min_usable_share)

    def _server(self) -> ChatEndpoint:
        return connect(f"teachers: '{self.name}'", self.spec, self.variable)


def stored(answers: list[LabelAnswer]) -> list[RowLabels]:
    """Answers as they are stored, one position a row."""
    return [{"logits": answer.logits[None]} for answer in answers]


def endpoint_teacher(name: str, spec: Endpoint, variable: str, head: Head) -> EndpointTeacher:
    """The teacher as its spec describes it. Raises InputRefused (LabelsIndistinct).

    Its digest is of what is asked of whom: the weights behind a name are the server's to keep as they are.
    """
    questions = LabelQuestions(tuple(spec.labels), spec.instruction, soft=spec.answers == "TopLogprobs")
    asked = {"url": spec.url, "model": spec.model, "answers": spec.answers, "prompt": questions.prompt}
    return EndpointTeacher(name, spec, variable, head, questions, digest_of(asked))
