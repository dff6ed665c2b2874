"""Language models that learn from what their teacher writes: prompts, answers, and gold responses beside them."""

from collections.abc import Sequence
from pathlib import Path

from distillery_api.dataset import Columns
from distillery_api.filters import Filters
from distillery_api.objective import Objective
from distillery_api.run import StageRun
from distillery_api.soft_labels import SoftLabels
from distillery_api.sources import ModelSource
from distillery_api.teachers import Teacher as TeacherSpec
from transformers import PreTrainedModel

from ..data.files import Rows
from ..data.prompts import Answered, PromptViews, load_prompts
from ..data.splits import validation_rows
from ..data.views import Views
from ..teachers.language_checks import check_output_layer
from ..teachers.language_model import LanguageModelTeacher, fetch_language_model, text_codec
from ..teachers.writing_endpoint import WritingEndpoint, writing_endpoint
from ..teachers.writing_teacher import WritingTeacher
from ..training.answer_learner import AnswerLearner, Lessons, collect_lessons, kept_answers, without_answers
from ..training.examples import Lookup, Split
from ..training.signals import Signals
from .causal_lm import LanguageTask, check_by_blocks
from .head import Head
from .next_token import NextToken


class CausalLmFromText(LanguageTask):
    """Rows are prompts. Held-out ones are judged by their gold responses, as those of every language model."""

    def fetch_teacher(self, run: StageRun, source: ModelSource, dest: Path) -> WritingTeacher:
        """A causal language model that writes."""
        return fetch_language_model(WritingTeacher, source, run.dataset.sequence_length, NextToken(), dest)

    def endpoint_teacher(self, run: StageRun, spec: TeacherSpec) -> WritingEndpoint:
        """A chat model that writes."""
        return writing_endpoint(spec, run.soft_labels, NextToken())

    def load_rows(self, uri: str, field: str, columns: Columns, head: Head | None, workdir: Path) -> Rows:
        """Prompts with gold responses, or of `unlabelled` alone."""
        return load_prompts(uri, field, columns, field != "unlabelled", workdir)

    def views(self, soft_labels: SoftLabels, teacher: LanguageModelTeacher) -> Views:
        """The prompts, which leave room for their answers."""
        return PromptViews(teacher.encoder, text_codec(soft_labels).max_new_tokens)

    def check_teacher(self, teacher: LanguageModelTeacher, first: Sequence[Answered]) -> None:
        """As of every language model, by the gold responses."""
        check_by_blocks(teacher, [teacher.encoder.pair(*row) for row in first])

    def check_student(self, model: PreTrainedModel, teacher: LanguageModelTeacher, row: Answered) -> None:
        """Its output layer, which the loss takes apart."""
        check_output_layer(model, teacher.encoder.pair(*row), "student: the model")

    def collect(
        self,
        train: Rows,
        unlabelled: Rows | None,
        teacher: LanguageModelTeacher,
        lookup: Lookup,
        views: Views,
        seed: int,
    ) -> Split[Lessons]:
        """Answers and gold responses, split by prompt."""
        held = validation_rows(train.keys, [0] * len(train), train.groups, seed)
        return collect_lessons(train, unlabelled, held, teacher.encoder, lookup)

    def kept_by_teacher(self, split: Split[Lessons], teacher: LanguageModelTeacher, filters: Filters) -> Split[Lessons]:
        """Without the answers that are not sound."""
        return kept_answers(split, filters)

    def without_teacher(self, split: Split[Lessons], teacher: LanguageModelTeacher) -> Split[Lessons]:
        """The gold responses."""
        return Split(without_answers(split.learn), split.validation)

    def learner(
        self, teacher: LanguageModelTeacher, soft_labels: SoftLabels, objective: Objective, signals: Signals | None
    ) -> AnswerLearner:
        """The words of both."""
        return AnswerLearner(objective, teacher.encoder.vocabulary, signals)
