"""What stages ask of a task: how its rows, teachers, students and artifacts are read and made."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from distillery_api.artifact import ArtifactManifest, Preprocessing
from distillery_api.dataset import Columns
from distillery_api.distillationjob import ModelSource, Student
from distillery_engine import TextModel
from transformers import PreTrainedModel

from ..data.files import Rows
from ..teachers.local import LocalTeacher
from .head import Head


class Task(ABC):
    """One value of spec.task."""

    name: str

    @abstractmethod
    def fetch_teacher(self, source: ModelSource, dest: Path) -> LocalTeacher:
        """Download a teacher and check its static files. Raises InputRefused and storage errors."""

    @abstractmethod
    def load_rows(self, uri: str, field: str, columns: Columns, head: Head | None, workdir: Path) -> Rows:
        """Read a file of the dataset; `field` names it in messages. With a head, every row needs a gold value."""

    @abstractmethod
    def check_teacher(self, teacher: LocalTeacher, row: Any) -> None:
        """Answer a real and an overlong row. Raises InputRefused (ModelUnsupported, WeightsCorrupt)."""

    @abstractmethod
    def check_student(self, student: Student, teacher: LocalTeacher) -> None:
        """Refuse a student that cannot be built from this teacher."""

    @abstractmethod
    def architecture(self, student: Student) -> str:
        """Name of what `fresh_student` builds: part of the student's key."""

    @abstractmethod
    def fresh_student(self, student: Student, teacher: LocalTeacher, seed: int) -> PreTrainedModel:
        """An untrained student; the same arguments give the same weights."""

    @abstractmethod
    def load_student(self, folder: Path) -> PreTrainedModel:
        """A trained student, in evaluation mode."""

    @abstractmethod
    def head_of(self, labels: Sequence[str]) -> Head:
        """The head of an artifact or a trained student."""

    @abstractmethod
    def export(self, model: PreTrainedModel, path: Path) -> None:
        """Write the model as one ONNX file."""

    @abstractmethod
    def engine(self, folder: Path, manifest: ArtifactManifest, threads: int) -> TextModel:
        """The artifact in the engine that serves it. Raises ArtifactInvalid."""

    @abstractmethod
    def files(self) -> tuple[str, ...]:
        """Files of the teacher's folder that belong to its student, too: those that prepare its inputs."""

    @abstractmethod
    def preprocessing(self, teacher: LocalTeacher, columns: Columns) -> Preprocessing:
        """How the student's inputs are made, as its artifact tells it."""

    @abstractmethod
    def encoder(self, folder: Path, preprocessing: Preprocessing) -> Any:
        """The encoder of a trained student's inputs."""
