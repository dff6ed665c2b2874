"""Classification by a chat model: the prompt with the label names, and what its answers say as logits."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..errors import InputRefused
from .asking import Ask
from .chat_endpoint import Answer, Message, Question, QuestionRefused
from .outcomes import Outcome

INSTRUCTION = "Classify the text that the user gives."  # where the spec says nothing
RULE = "Answer with exactly one of these labels, and nothing else:"
REMINDER = "That is none of the labels."
TOP = 20  # log-probabilities that servers give at most by default
# A label that was not named: far enough below for a probability of 0 at every temperature up to 100, and finite.
NOT_NAMED = -1e5
LEAST_ON_LABELS = 0.5  # probability of the first token that must be on labels, or it is no answer to the question
LEAST = 1e-12  # probability of a label where nothing is left
MOST_AMBIGUOUS = 0.01  # probability of first tokens with which more than one label begins


@dataclass(frozen=True)
class LabelAnswer:
    """logits: float32 [labels], NaN for every outcome but ANSWERED. said: the server's words, for messages."""

    outcome: Outcome
    logits: NDArray[np.float32]
    said: str
    asked: int = 1


@dataclass(frozen=True)
class LabelQuestions:
    """A question for each text. soft: read the first token's log-probabilities, not only the answer's text."""

    labels: tuple[str, ...]
    instruction: str
    soft: bool = False

    def __post_init__(self) -> None:
        if self.soft:
            check_distinguishable(self.labels)

    @property
    def prompt(self) -> str:
        """The system message: part of what the soft labels depend on."""
        return (
            f"{self.instruction}\nAnswer with exactly one of these labels, and nothing else: {', '.join(self.labels)}"
        )

    def question(self, *turns: Message) -> Question:
        """A question with these turns after the prompt."""
        longest = max(len(label.encode()) for label in self.labels)
        return Question(
            messages=(Message("system", self.prompt), *turns),
            max_tokens=longest + 8,  # a token has a byte or more
            top_logprobs=TOP if self.soft else 0,
        )

    async def __call__(self, ask: Ask, text: str) -> LabelAnswer:
        """What the endpoint says of the text; an answer outside the set is asked for once more."""
        turn = Message("user", text)
        try:
            answer = await ask(self.question(turn))
            first = self.read(answer)
            if first.outcome is not Outcome.OUTSIDE:
                return first
            reminder = Message("user", "\n".join([REMINDER, RULE, *self.labels]))
            answer = await ask(self.question(turn, Message("assistant", answer.text), reminder))
        except QuestionRefused as refusal:
            return unusable(Outcome.REFUSED, len(self.labels), str(refusal))
        return replace(self.read(answer), asked=2)

    def read(self, answer: Answer) -> LabelAnswer:
        """The answer as logits. Raises InputRefused (EndpointRefused) where wanted log-probabilities are missing."""
        label = read_label(answer.text, self.labels)
        if label is None:
            return unusable(Outcome.OUTSIDE, len(self.labels), answer.text)
        if not self.soft:
            return LabelAnswer(Outcome.ANSWERED, named(label, len(self.labels)), answer.text)
        if not answer.top:
            raise InputRefused(
                "EndpointRefused",
                "teachers: the endpoint gives no log-probabilities (no `logprobs` in its answer);"
                " set endpoint.answers: Text, or use a server that gives them",
            )
        return read_first_token(answer, self.labels)


def unusable(outcome: Outcome, labels: int, said: str) -> LabelAnswer:
    """No logits."""
    return LabelAnswer(outcome, np.full(labels, np.nan, dtype=np.float32), said)


def named(label: int, labels: int) -> NDArray[np.float32]:
    """Logits float32 [labels] of a hard label: softmax gives probability 1 to it at every temperature up to 100."""
    logits = np.full(labels, NOT_NAMED, dtype=np.float32)
    logits[label] = 0.0
    return logits


def read_label(text: str, labels: Sequence[str]) -> int | None:
    """The label that the answer is: exactly, or but for case and the quotes and full stops around it; else None."""
    if (exact := text.strip()) in labels:
        return labels.index(exact)
    bare = exact.strip("\"'`*.").strip().casefold()
    same = [index for index, label in enumerate(labels) if label.casefold() == bare]
    return same[0] if len(same) == 1 else None


def check_distinguishable(labels: Sequence[str]) -> None:
    """Raise InputRefused (LabelsIndistinct) where one label begins with another: their first token may be one."""
    for shorter in labels:
        for longer in labels:
            if shorter != longer and longer.casefold().startswith(shorter.casefold()):
                raise InputRefused(
                    "LabelsIndistinct",
                    f"teachers: label '{longer}' begins with label '{shorter}', so the first token of an answer does"
                    " not tell them apart; rename one of them, or set endpoint.answers: Text",
                )


def begun(token: str, labels: Sequence[str]) -> list[int]:
    """Labels that an answer with this first token may be; case counts for one or two letters, such as `I`."""
    start = token.lstrip()
    fold = start.casefold() if len(start) > 2 else None
    return [
        index
        for index, label in enumerate(labels)
        if start and (label.startswith(start) or (fold and label.casefold().startswith(fold)))
    ]


def read_first_token(answer: Answer, labels: Sequence[str]) -> LabelAnswer:
    """Logits from the log-probabilities of the first token, added up over the tokens that begin one label alone.

    A label that none of the top tokens begins gets what is left of probability, at most that of the last top token.
    """
    mass, ambiguous = np.zeros(len(labels)), 0.0
    given = [(token, math.exp(logprob)) for token, logprob in answer.top[0]]
    for token, probability in given:
        match begun(token, labels):
            case [label]:
                mass[label] += probability
            case [_, *_]:
                ambiguous += probability
    if ambiguous > MOST_AMBIGUOUS:
        return unusable(Outcome.AMBIGUOUS, len(labels), answer.text)
    if mass.sum() < LEAST_ON_LABELS:
        return unusable(Outcome.OUTSIDE, len(labels), answer.text)
    absent = mass == 0
    if absent.any():
        left = max(0.0, 1.0 - sum(probability for _, probability in given)) / absent.sum()
        mass[absent] = max(min(left, *(probability for _, probability in given)), LEAST)
    return LabelAnswer(Outcome.ANSWERED, np.log(mass / mass.sum()).astype(np.float32), answer.text)
