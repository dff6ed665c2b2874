"""A chat model behind an endpoint that answers prompts: its texts are what a student learns."""

import hashlib
import math
from dataclasses import dataclass
from typing import ClassVar

from distillery_api.digests import digest_of
from distillery_api.soft_labels import SoftLabels
from distillery_api.teachers import Teacher as TeacherSpec

from ..labels.codecs import TextCodec
from ..labels.segments import RowLabels
from ..labels.store import LabelSet
from ..tasks.head import Head
from .asking import Ask
from .chat_endpoint import Answer, Message, Question, QuestionRefused
from .endpoint_teacher import EndpointTeacher, KeyedRow, endpoint_of
from .language_model import text_codec
from .outcomes import Outcome
from .writing_teacher import text_labels

SEED_BITS = 31  # of a request's seed: servers take it as a signed or an unsigned number of 32 bits


@dataclass(frozen=True)
class WrittenAnswer:
    """text: empty where the server refuses the row. said: the server's words, for messages."""

    outcome: Outcome
    text: str
    said: str


@dataclass
class WritingEndpoint(EndpointTeacher[WrittenAnswer]):
    """It is asked each prompt as the user's turn, after `instruction` as the system's where there is one."""

    codec: TextCodec

    fix: ClassVar[str] = (
        "raise softLabels.maxNewTokens where answers are unfinished, or change endpoint.instruction or the prompts"
    )

    def label_set(self, soft_labels: SoftLabels) -> LabelSet:
        """Texts; no tokenizer of ours has part in them."""
        return LabelSet(codec=self.codec, teacher=self.digest)

    def question(self, key: str, prompt: str) -> Question:
        """A prompt as it is asked; what is drawn has a seed of the row's own."""
        told = (Message("system", self.spec.instruction),) if self.spec.instruction else ()
        return Question(
            messages=(*told, Message("user", prompt)),
            max_tokens=self.codec.max_new_tokens,
            temperature=self.codec.temperature or 0,
            seed=None if self.codec.seed is None else row_seed(key, self.codec.seed),
        )

    async def answer(self, ask: Ask, row: KeyedRow) -> WrittenAnswer:
        """Its text after the prompt, which comes first in the row's input."""
        key, (prompt, *_) = row
        try:
            return read(await ask(self.question(key, prompt)))
        except QuestionRefused as refusal:
            return WrittenAnswer(Outcome.REFUSED, "", str(refusal))

    def stored(self, answer: WrittenAnswer) -> RowLabels:
        """Its text, whose likelihood nobody tells; one that is not usable has no end or no words."""
        return text_labels(answer.text, answer.outcome in (Outcome.ANSWERED, Outcome.EMPTY), math.nan)

    def usable(self, labels: RowLabels) -> bool:
        """Whether it has an end, and words."""
        return bool(labels["finished"].item() and labels["answer"].item().strip())


def read(answer: Answer) -> WrittenAnswer:
    """What came of an answer; it is kept as it is, down to its spaces."""
    finished = Outcome.ANSWERED if answer.text.strip() else Outcome.EMPTY
    return WrittenAnswer(finished if answer.complete else Outcome.UNFINISHED, answer.text, answer.text)


def row_seed(key: str, seed: int) -> int:
    """The seed of one row's draws, in [0, 2^31): row and seed alone decide it."""
    digest = hashlib.sha256(f"{seed}\n{key}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> (32 - SEED_BITS)


def writing_endpoint(teacher: TeacherSpec, soft_labels: SoftLabels, head: Head) -> WritingEndpoint:
    """The teacher as its spec describes it; how long and at which temperature it writes is the label set's to say."""
    spec = endpoint_of(teacher)
    asked = {"url": spec.url, "model": spec.model, "instruction": spec.instruction}
    codec = text_codec(soft_labels)
    return WritingEndpoint(teacher.name, spec, teacher.api_key_variable, head, digest_of(asked), codec)
