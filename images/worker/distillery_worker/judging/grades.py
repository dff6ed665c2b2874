"""What a judge is asked about one answer, and the grade that its reply is.

One answer at a time is graded from 1 to 10 (Zheng et al. 2023, arXiv 2306.05685, figure 6).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..data.answers import Answer
from ..errors import InputRefused
from ..teachers.asking import Ask
from ..teachers.chat_endpoint import Message, Question, QuestionRefused

RULE = "Reply with a whole number from 1 (worst) to 10 (best), and nothing else."
REMINDER = f"That is no grade. {RULE}"
# A number that comes later may be the scale's own: "on a scale of 1 to 10".
GRADE = re.compile(r"[^\w-]*(?:(?:grade|score|rating)\W+)?(10|[1-9])(?!\d|[.,-]\d)", re.IGNORECASE)
NONE = 0  # in place of a grade
REPLY_TOKENS = 16
EARLY = 50  # answers after which a judge that gives no grades is not asked any more
LEAST_GRADED = 0.5  # share of the answers that must get a grade


@dataclass(frozen=True)
class Grade:
    """1 to 10, or NONE. said: the judge's words, or the server's where it refuses the question."""

    value: int
    said: str


@dataclass(frozen=True)
class GradeQuestions:
    """A question for each answer."""

    instruction: str

    @property
    def prompt(self) -> str:
        """The system message: part of what the grades depend on."""
        return f"{self.instruction}\n{RULE}"

    async def __call__(self, ask: Ask, answer: Answer) -> Grade:
        """What the judge says of it; a reply that is no grade is asked for once more."""
        turns = (Message("system", self.prompt), Message("user", shown(answer)))
        try:
            reply = await ask(Question(turns, REPLY_TOKENS))
            if read_grade(reply.text) == NONE:
                again = (*turns, Message("assistant", reply.text), Message("user", REMINDER))
                reply = await ask(Question(again, REPLY_TOKENS))
        except QuestionRefused as refusal:
            return Grade(NONE, str(refusal))
        return Grade(read_grade(reply.text), reply.text)


def shown(answer: Answer) -> str:
    """The prompt and the answer, as the user's turn."""
    return f"[Prompt]\n{answer.prompt}\n\n[Start of the answer]\n{answer.text}\n[End of the answer]"


def read_grade(reply: str) -> int:
    """The number that the reply begins with, but for marks and a word like `Grade:`; NONE where that is no grade."""
    found = GRADE.match(reply)
    return int(found[1]) if found else NONE


@dataclass
class Heard:
    """How many of a judge's replies were grades. judge: field and name, for messages"""

    judge: str
    replies: int = 0
    grades: int = 0
    other: str = ""  # a reply that was none

    def add(self, found: Sequence[Grade]) -> None:
        """Count; raise InputRefused (AnswersUnusable) as soon as it is hopeless."""
        self.replies += len(found)
        self.grades += sum(grade.value != NONE for grade in found)
        self.other = next((grade.said for grade in found if grade.value == NONE), self.other)
        if self.replies >= EARLY:
            self.check(LEAST_GRADED)

    def check(self, least: float) -> None:
        """Raise InputRefused (AnswersUnusable) where fewer than this share were grades."""
        if self.grades < least * self.replies:
            raise InputRefused(
                "AnswersUnusable",
                f"{self.judge} graded {self.grades} of {self.replies} answers; a reply that is no grade:"
                f" {self.other[:100]!r}; say in judge.instruction what to grade by, or use a model that replies with"
                " a number as it is told",
            )
