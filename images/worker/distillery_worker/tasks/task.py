"""What stages ask of a task: how its rows, teachers, students and artifacts are read and made."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

from distillery_api.artifact import ArtifactManifest, ImagePreprocessing, TextPreprocessing
from distillery_api.distillationjob import Columns, SoftLabels
from distillery_api.student import ModelSource, Student
from distillery_engine import OnnxModel
from transformers import PreTrainedModel

from ..data.files import Rows
from ..data.views import Views
from ..model_folders import ModelFolder
from ..teachers.local import LocalTeacher
from ..teachers.teacher import Encoder
from .head import Head

Preprocessing = TextPreprocessing | ImagePreprocessing
T = TypeVar("T", bound=LocalTeacher)


class Task(ABC, Generic[T]):
    """One value of spec.task."""

    name: str

    @abstractmethod
    def fetch_teacher(self, source: ModelSource, dest: Path) -> T:
        """Download a teacher and check its static files. Raises InputRefused and storage errors."""

    @abstractmethod
    def load_rows(self, uri: str, field: str, columns: Columns, head: Head | None, workdir: Path) -> Rows:
        """Read a file of the dataset; `field` names it in messages. With a head, every row needs a gold value."""

    @abstractmethod
    def views(self, soft_labels: SoftLabels, teacher: T) -> Views:
        """How rows are shown to teacher and student. Raises InputRefused."""

    @abstractmethod
    def check_teacher(self, teacher: T, row: Any) -> None:
        """Answer a real row, and the largest that can come. Raises InputRefused (ModelUnsupported, WeightsCorrupt)."""

    @abstractmethod
    def fetch_student(self, student: Student, teacher: T, dest: Path) -> ModelFolder | None:
        """Download the model that training starts from, if the student has one. Raises what fetch_teacher does."""

    @abstractmethod
    def fresh_student(self, student: Student, teacher: T, given: ModelFolder | None, seed: int) -> PreTrainedModel:
        """An untrained student; the same arguments give the same weights. Raises InputRefused.

        given: what `fetch_student` gave
        """

    @abstractmethod
    def check_student(self, model: PreTrainedModel, teacher: T, row: Any) -> None:
        """Answer a real row, and the largest that can come. Raises InputRefused (ModelUnsupported)."""

    @abstractmethod
    def load_student(self, folder: Path) -> PreTrainedModel:
        """A trained student, in evaluation mode."""

    @abstractmethod
    def head_of(self, labels: Sequence[str]) -> Head:
        """The head of an artifact or a trained student."""

    @abstractmethod
    def export(self, model: PreTrainedModel, source: Path, preprocessing: Preprocessing, folder: Path) -> list[str]:
        """Write all that the engine loads into the folder; gives the names, the graph's first.

        source: the folder of the model or its teacher, with what prepares its inputs
        """

    @abstractmethod
    def engine(self, folder: Path, manifest: ArtifactManifest, threads: int) -> OnnxModel:
        """The artifact in the engine that serves it. Raises ArtifactInvalid."""

    @abstractmethod
    def files(self) -> tuple[str, ...]:
        """Files of the teacher's folder that belong to its student, too: those that prepare its inputs."""

    @abstractmethod
    def preprocessing(self, teacher: T) -> Preprocessing:
        """How the student's inputs are made, as its artifact tells it."""

    @abstractmethod
    def encoder(self, folder: Path, preprocessing: Preprocessing) -> Encoder:
        """The encoder of a trained student's inputs."""
