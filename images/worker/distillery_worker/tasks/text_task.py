"""Tasks on texts with a fixed number of outputs: an encoder under a linear layer, served by ONNX Runtime."""

import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from distillery_api.artifact import ArtifactManifest, TextPreprocessing
from distillery_api.dataset import Columns
from distillery_api.run import StageRun
from distillery_api.soft_labels import SoftLabels
from distillery_api.sources import ModelSource
from distillery_api.student import Student, StudentConfig
from distillery_engine import Text, TextModel, TextTokenizer
from numpy.typing import NDArray
from transformers import PreTrainedModel

from ..artifacts.onnx_export import MODEL_FILE, export_text_model
from ..data.files import Rows, first_line
from ..data.text import load_texts
from ..data.views import Views
from ..errors import InputRefused
from ..model_folders import SAFETENSORS, TOKENIZER, TOKENIZER_CONFIG, ModelFolder
from ..students.adapters import add_adapters
from ..students.bert import build_student, label_maps, load_student
from ..students.pretrained import fetch_initial, keep_layers, load_initial
from ..teachers.local import ReadHead, predict
from ..teachers.onnx_teacher import onnx_teacher
from ..teachers.text import TextTeacher, fetch_text_teacher
from .head import Head, RowHead
from .task import Preprocessing, RowTask


class TextTask(RowTask[TextTeacher]):
    """Text in, `head.outputs` numbers out."""

    def __init__(self, name: str, read_head: ReadHead, head_of: Callable[[Sequence[str]], Head]) -> None:
        self.name = name
        self._read_head, self._head_of = read_head, head_of

    def fetch_teacher(self, run: StageRun, source: ModelSource, dest: Path) -> TextTeacher:
        """A Hugging Face folder for sequence classification, with weights or as ONNX."""
        teacher = fetch_text_teacher(source, self._read_head, dest)
        return teacher if any(dest.glob(f"*{SAFETENSORS}")) else onnx_teacher(teacher)

    def load_rows(self, uri: str, field: str, columns: Columns, head: Head | None, workdir: Path) -> Rows:
        """Rows with a text and, with a head, a gold value."""
        return load_texts(uri, field, columns, head.gold if isinstance(head, RowHead) else None, workdir)

    def views(self, soft_labels: SoftLabels, teacher: TextTeacher) -> Views:
        """Texts are shown as they are."""
        return Views()

    def check_teacher(self, teacher: TextTeacher, first: Sequence[Any]) -> None:
        """Load the weights and answer one real and one overlong row."""
        check_answers(teacher.predict, teacher, first[0], f"teachers[0].model: {teacher.uri}")

    def fetch_student(self, student: Student, teacher: TextTeacher, dest: Path) -> ModelFolder | None:
        """A Hugging Face folder with the teacher's tokenizer."""
        return fetch_initial(student.model, teacher.path, dest) if student.model else None

    def check_student(self, model: PreTrainedModel, teacher: TextTeacher, row: Any) -> None:
        """Answer one real and one overlong row."""
        check_answers(partial(predict, model), teacher, row, "student: the model")

    def fresh_student(
        self, student: Student, teacher: TextTeacher, given: ModelFolder | None, seed: int
    ) -> PreTrainedModel:
        """A BERT encoder with the teacher's vocabulary, layers of the teacher, or the given model; with adapters."""
        model = self.without_adapters(student, teacher, given, seed)
        return add_adapters(model, student.lora, seed) if student.lora else model

    def without_adapters(
        self, student: Student, teacher: TextTeacher, given: ModelFolder | None, seed: int
    ) -> PreTrainedModel:
        """The model that adapters are put on."""
        if given:
            return load_initial(given, label_maps(teacher.head), seed)
        if student.from_:
            return keep_layers(teacher.model, student.from_.layers, "student.from.layers")
        return build_student(
            student.config or StudentConfig(),
            teacher.head,
            teacher.embeddings(),
            max_length=teacher.max_length,
            pad_token_id=teacher.pad_token_id,
            seed=seed,
        )

    def load_student(self, folder: Path) -> PreTrainedModel:
        """A trained student, in evaluation mode."""
        return load_student(folder)

    def head_of(self, labels: Sequence[str]) -> Head:
        """The head by its label names."""
        return self._head_of(labels)

    def export(self, model: PreTrainedModel, source: Path, preprocessing: Preprocessing, folder: Path) -> list[str]:
        """A graph of input_ids and attention_mask, and the tokenizer."""
        assert isinstance(preprocessing, TextPreprocessing)  # noqa: S101 - as `preprocessing` below makes it
        export_text_model(model, folder / MODEL_FILE)
        shutil.copy(source / TOKENIZER, folder / preprocessing.tokenizer)
        return [MODEL_FILE, preprocessing.tokenizer]

    def engine(self, folder: Path, manifest: ArtifactManifest, threads: int) -> TextModel:
        """Tokenizer and graph."""
        return TextModel(folder, manifest, threads)

    def files(self, teacher: TextTeacher) -> tuple[str, ...]:
        """The tokenizer."""
        return (TOKENIZER, TOKENIZER_CONFIG)

    def preprocessing(self, teacher: TextTeacher, columns: Columns) -> Preprocessing:
        """The tokenizer with the teacher's limits."""
        return TextPreprocessing(
            max_length=teacher.max_length, pad_token_id=teacher.pad_token_id, query=columns.query is not None
        )

    def encoder(self, folder: Path, preprocessing: Preprocessing) -> TextTokenizer:
        """The tokenizer in a student's folder."""
        assert isinstance(preprocessing, TextPreprocessing)  # noqa: S101 - as above
        return TextTokenizer(folder / preprocessing.tokenizer, preprocessing.max_length, preprocessing.pad_token_id)


def overlong(row: Text, times: int) -> Text:
    """A row with its text repeated, so that it must be cut."""
    return row * times if isinstance(row, str) else (row[0], row[1] * times)


def check_answers(predict: Callable[[Any], NDArray[np.float32]], teacher: TextTeacher, row: Text, name: str) -> None:
    """Refuse a model that does not answer a real row, and one as long as the tokenizer makes them, as the head says."""
    try:
        shape = predict(teacher.encoder.batch([row, overlong(row, teacher.max_length)])).shape
    except InputRefused:
        raise
    except Exception as error:  # models raise anything for inputs they were not made for
        raise InputRefused(
            "ModelUnsupported",
            f"{name} fails on a row of {teacher.max_length} tokens: {first_line(error)};"
            " set model_max_length in the teacher's tokenizer_config.json to what teacher and student take",
        ) from error
    if shape != (2, teacher.head.outputs):
        raise InputRefused(
            "ModelUnsupported",
            f"{name} answers with shape {list(shape)}, not (2, {teacher.head.outputs});"
            " use a model for sequence classification whose num_labels is the size of id2label in config.json",
        )
