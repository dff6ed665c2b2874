"""A chat model behind an endpoint that names labels: a classifier."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from distillery_api.digests import digest_of
from distillery_api.soft_labels import SoftLabels
from distillery_api.teachers import Teacher as TeacherSpec

from ..labels.codecs import LogitsCodec
from ..labels.segments import RowLabels
from ..labels.store import LabelSet
from ..tasks.head import Head
from .asking import Ask
from .endpoint_teacher import EndpointTeacher, KeyedRow, endpoint_of
from .label_answers import INSTRUCTION, LabelAnswer, LabelQuestions


@dataclass
class NamingEndpoint(EndpointTeacher[LabelAnswer]):
    """Its answers are stored as logits, like those of a classifier here."""

    questions: LabelQuestions

    fix: ClassVar[str] = "describe the labels in endpoint.instruction, or use a more capable model"

    def label_set(self, soft_labels: SoftLabels) -> LabelSet:
        """A logit a label."""
        codec = LogitsCodec(alignment="one position per row", vocabulary=self.head.outputs)
        return LabelSet(codec=codec, teacher=self.digest, labels=list(self.head.labels))

    async def answer(self, ask: Ask, row: KeyedRow) -> LabelAnswer:
        """The label of a text."""
        return await self.questions(ask, row[1])

    def stored(self, answer: LabelAnswer) -> RowLabels:
        """Its logits, NaN where it is not usable."""
        return {"logits": answer.logits[None]}

    def usable(self, labels: RowLabels) -> bool:
        """Whether there are logits."""
        return not np.isnan(labels["logits"]).any()


def naming_endpoint(teacher: TeacherSpec, head: Head) -> NamingEndpoint:
    """The teacher as its spec describes it. Raises InputRefused (LabelsIndistinct)."""
    spec = endpoint_of(teacher)
    soft = spec.answers == "TopLogprobs"
    questions = LabelQuestions(tuple(spec.labels or ()), spec.instruction or INSTRUCTION, soft)
    asked = {"url": spec.url, "model": spec.model, "answers": spec.answers, "prompt": questions.prompt}
    return NamingEndpoint(teacher.name, spec, teacher.api_key_variable, head, digest_of(asked), questions)
