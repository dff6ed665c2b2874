"""Tasks on texts with a fixed number of outputs: an encoder under a linear layer, served by ONNX Runtime."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from distillery_api.artifact import ArtifactManifest, Preprocessing
from distillery_api.dataset import Columns
from distillery_api.distillationjob import ModelSource, Student
from distillery_engine import Text, TextModel, TextTokenizer
from transformers import PreTrainedModel

from ..artifacts.onnx_export import export_onnx
from ..data.files import Rows, first_line
from ..data.text import load_texts
from ..errors import InputRefused
from ..students.bert import build_student, check_student, load_student
from ..teachers.local import TOKENIZER, TOKENIZER_CONFIG, LocalTeacher, ReadHead, fetch_teacher, predict
from .head import Head
from .task import Task


class TextTask(Task):
    """Text in, `head.outputs` numbers out."""

    def __init__(self, name: str, read_head: ReadHead, head_of: Callable[[Sequence[str]], Head]) -> None:
        self.name = name
        self._read_head, self._head_of = read_head, head_of

    def fetch_teacher(self, source: ModelSource, dest: Path) -> LocalTeacher:
        """A Hugging Face folder for sequence classification."""
        return fetch_teacher(source, self._read_head, dest)

    def load_rows(self, uri: str, field: str, columns: Columns, head: Head | None, workdir: Path) -> Rows:
        """Rows with a text and, with a head, a gold value."""
        return load_texts(uri, field, columns, head.gold if head else None, workdir)

    def check_teacher(self, teacher: LocalTeacher, row: Any) -> None:
        """Load the weights and answer one real and one overlong row."""
        try:
            batch = teacher.encoder.batch([row, overlong(row, teacher.max_length)])
            shape = predict(teacher.model, batch).shape
        except InputRefused:
            raise
        except Exception as error:  # models raise anything for inputs they were not made for
            raise InputRefused(
                "ModelUnsupported",
                f"teachers[0].model: {teacher.uri} fails on a row of {teacher.max_length} tokens: {first_line(error)};"
                " set model_max_length in tokenizer_config.json to what the model takes",
            ) from error
        if shape != (2, teacher.head.outputs):
            raise InputRefused(
                "ModelUnsupported",
                f"teachers[0].model: {teacher.uri} answers with shape {list(shape)}, not (2, {teacher.head.outputs});"
                " use a model for sequence classification whose num_labels is the size of id2label in config.json",
            )

    def check_student(self, student: Student, teacher: LocalTeacher) -> None:
        """The student's embeddings must be projections of the teacher's."""
        check_student(student.config, teacher.model.get_input_embeddings().weight.shape[1])

    def architecture(self, student: Student) -> str:
        """The one architecture of a student with a config."""
        return "MeanPooledBert"

    def fresh_student(self, student: Student, teacher: LocalTeacher, seed: int) -> PreTrainedModel:
        """A BERT encoder over the teacher's vocabulary."""
        return build_student(
            student.config,
            teacher.head,
            teacher.model.get_input_embeddings().weight.detach(),
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

    def export(self, model: PreTrainedModel, path: Path) -> None:
        """A graph of input_ids and attention_mask."""
        export_onnx(model, path)

    def engine(self, folder: Path, manifest: ArtifactManifest, threads: int) -> TextModel:
        """Tokenizer and graph."""
        return TextModel(folder, manifest, threads)

    def files(self) -> tuple[str, ...]:
        """The tokenizer."""
        return (TOKENIZER, TOKENIZER_CONFIG)

    def preprocessing(self, teacher: LocalTeacher, columns: Columns) -> Preprocessing:
        """The tokenizer with the teacher's limits."""
        return Preprocessing(
            max_length=teacher.max_length, pad_token_id=teacher.pad_token_id, query=columns.query is not None
        )

    def encoder(self, folder: Path, preprocessing: Preprocessing) -> TextTokenizer:
        """The tokenizer in a student's folder."""
        return TextTokenizer(folder / preprocessing.tokenizer, preprocessing.max_length, preprocessing.pad_token_id)


def overlong(row: Text, times: int) -> Text:
    """A row with its text repeated, so that it must be cut."""
    return row * times if isinstance(row, str) else (row[0], row[1] * times)
