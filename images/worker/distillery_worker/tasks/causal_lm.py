"""Language models that predict the next token: texts in blocks, soft labels by position, artifacts for transformers."""

import logging
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from distillery_api.artifact import ArtifactManifest, Format, TextPreprocessing
from distillery_api.dataset import Columns
from distillery_api.objective import Objective
from distillery_api.run import StageRun
from distillery_api.soft_labels import SoftLabels
from distillery_api.sources import ModelSource
from distillery_api.student import Student, StudentConfig
from distillery_engine import ArtifactInvalid
from numpy.typing import NDArray
from transformers import PreTrainedModel

from ..data.blocks import Asked, Block
from ..data.documents import BlockViews, blocks_of, load_documents
from ..data.files import Rows, first_line
from ..data.language_tokenizer import LanguageTokenizer
from ..data.views import Views
from ..errors import InputRefused
from ..evaluation.language_engine import LanguageEngine
from ..evaluation.likelihood import mean_losses
from ..labels.codecs import HiddenCodec, TextCodec
from ..model_folders import TOKENIZER, ModelFolder
from ..students.adapters import add_adapters
from ..students.llama import build_decoder, load_decoder, load_given
from ..students.pretrained import fetch_initial, keep_layers
from ..teachers.language_checks import check_end, check_likelihood, check_output_layer
from ..teachers.language_model import LanguageModelTeacher, fetch_language_model
from ..training.examples import Lookup, Split
from ..training.language_learner import BlockExamples, LanguageLearner, collect_blocks
from ..training.signals import Signals
from .head import Head
from .next_token import NextToken
from .task import Preprocessing, Task

log = logging.getLogger(__name__)
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
TOKENIZER_FILES = (TOKENIZER, "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja")


class LanguageTask(Task[LanguageModelTeacher]):
    """Text in, the probability of each next token out, whatever the student learns from."""

    name = "causal-lm"
    format: Format = "safetensors"

    def units(self, rows: Rows, encoder: LanguageTokenizer) -> Rows:
        """The blocks of the texts."""
        return blocks_of(rows, encoder)

    def fetch_student(self, student: Student, teacher: LanguageModelTeacher, dest: Path) -> ModelFolder | None:
        """A Hugging Face folder with the teacher's tokenizer."""
        return fetch_initial(student.model, teacher.path, dest) if student.model else None

    def fresh_student(
        self, student: Student, teacher: LanguageModelTeacher, given: ModelFolder | None, seed: int
    ) -> PreTrainedModel:
        """A Llama decoder with the teacher's vocabulary, layers of the teacher, or the given model; with adapters."""
        if given:
            model = load_given(given, teacher.encoder.vocabulary)
        elif student.from_:
            model = keep_layers(teacher.model, student.from_.layers, "student.from.layers")
        else:
            embeddings = teacher.model.get_input_embeddings().weight.detach()
            model = build_decoder(student.config or StudentConfig(), teacher.encoder, embeddings, seed)
        return add_adapters(model, student.lora, seed) if student.lora else model

    def load_student(self, folder: Path) -> PreTrainedModel:
        """A trained student, in evaluation mode."""
        return load_decoder(folder)

    def head_of(self, labels: Sequence[str]) -> Head:
        """The one head."""
        return NextToken()

    def export(self, model: PreTrainedModel, source: Path, preprocessing: Preprocessing, folder: Path) -> list[str]:
        """The folder as transformers reads it; it holds the model as it was trained."""
        names = sorted(path.name for path in source.iterdir() if path.is_file())
        for name in names:
            shutil.copy(source / name, folder / name)
        first = INDEX if INDEX in names else WEIGHTS
        return [first, *(name for name in names if name != first)]

    def engine(self, folder: Path, manifest: ArtifactManifest, threads: int) -> LanguageEngine:
        """The folder in torch. Raises ArtifactInvalid."""
        try:
            model = load_decoder(folder)
        except Exception as error:  # the libraries raise bare exceptions of many types
            raise ArtifactInvalid(f"{folder} does not load: {first_line(error)}; publish the artifact again") from error
        return LanguageEngine(model, self.encoder(folder, manifest.preprocessing), threads)

    def in_engine(
        self, model: PreTrainedModel, source: Path, student: ArtifactManifest, folder: Path
    ) -> LanguageEngine:
        """The model as it is, on one thread: it runs in torch already."""
        return LanguageEngine(model, self.encoder(source, student.preprocessing), threads=1)

    def predict(self, model: PreTrainedModel, batch: Asked) -> NDArray[np.float32]:
        """Mean NLL of each block's predicted tokens: [blocks, 1]."""
        return mean_losses(model, batch.blocks)[:, None]

    def files(self, teacher: LanguageModelTeacher) -> tuple[str, ...]:
        """The tokenizer and its chat template."""
        return tuple(name for name in TOKENIZER_FILES if (teacher.path / name).exists())

    def preprocessing(self, teacher: LanguageModelTeacher, columns: Columns) -> TextPreprocessing:
        """The tokenizer, and how long a block is."""
        return TextPreprocessing(max_length=teacher.length)

    def encoder(self, folder: Path, preprocessing: Preprocessing) -> LanguageTokenizer:
        """The tokenizer in a folder."""
        assert isinstance(preprocessing, TextPreprocessing)  # noqa: S101 - as `preprocessing` above makes it
        return LanguageTokenizer(folder, preprocessing.max_length)


class CausalLm(LanguageTask):
    """Learned from the teacher's distribution after each token."""

    def fetch_teacher(self, run: StageRun, source: ModelSource, dest: Path) -> LanguageModelTeacher:
        """A Hugging Face folder of a causal language model."""
        head = NextToken(run.soft_labels.temperature or 1.0)
        return fetch_language_model(LanguageModelTeacher, source, run.dataset.sequence_length, head, dest)

    def load_rows(self, uri: str, field: str, columns: Columns, head: Head | None, workdir: Path) -> Rows:
        """Documents, or prompts with responses: their tokens are their gold values."""
        return load_documents(uri, field, columns, workdir)

    def views(self, soft_labels: SoftLabels, teacher: LanguageModelTeacher) -> Views:
        """The blocks of the texts."""
        return BlockViews(teacher.encoder)

    def check_teacher(self, teacher: LanguageModelTeacher, first: Sequence[Block]) -> None:
        """By the first blocks."""
        check_by_blocks(teacher, first)

    def check_student(self, model: PreTrainedModel, teacher: LanguageModelTeacher, row: Block) -> None:
        """Its output layer, which the loss takes apart."""
        check_output_layer(model, row, "student: the model")

    def collect(
        self,
        train: Rows,
        unlabelled: Rows | None,
        teacher: LanguageModelTeacher,
        lookup: Lookup,
        views: Views,
        seed: int,
    ) -> Split[BlockExamples]:
        """Blocks with soft labels, split by document."""
        blocks = blocks_of(train, teacher.encoder)
        return collect_blocks(blocks, teacher.head.validation(blocks, seed), lookup)

    def without_teacher(self, split: Split[BlockExamples], teacher: LanguageModelTeacher) -> Split[BlockExamples]:
        """The same blocks: every token is its own gold value."""
        return split

    def learner(
        self, teacher: LanguageModelTeacher, soft_labels: SoftLabels, objective: Objective, signals: Signals | None
    ) -> LanguageLearner:
        """Tokens and soft labels; stored hidden states need the teacher's output layer."""
        codec = teacher.codec_of(soft_labels)
        assert not isinstance(codec, TextCodec)  # noqa: S101 - texts have a task of their own
        weight = teacher.output_weight if isinstance(codec, HiddenCodec) else None
        return LanguageLearner(objective, codec, weight, signals)


def check_by_blocks(teacher: LanguageModelTeacher, first: Sequence[Block]) -> None:
    """Its end token, its output layer, and that it finds the first blocks likelier than chance does."""
    if not first:
        raise InputRefused(
            "EmptyTrainSet", "dataset.train: no row has a token after its first, so nothing is predicted; add texts"
        )
    check_end(teacher.model, teacher.encoder, teacher.uri)
    check_output_layer(teacher.model, first[0], f"teachers[0].model: {teacher.uri}")
    nll = check_likelihood(teacher.model, first, teacher.uri)
    log.info("the teacher on the first rows", extra={"nats_per_token": round(nll, 4), "perplexity": np.exp(nll)})
