"""What stages ask of a task: how its rows, teachers, students and artifacts are read and made."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from distillery_api.artifact import ArtifactManifest, Format, ImagePreprocessing, TextPreprocessing
from distillery_api.dataset import Columns
from distillery_api.filters import Filters
from distillery_api.objective import Objective
from distillery_api.run import StageRun
from distillery_api.soft_labels import SoftLabels
from distillery_api.sources import ModelSource
from distillery_api.student import Student
from distillery_api.teachers import Teacher as TeacherSpec
from numpy.typing import NDArray
from transformers import PreTrainedModel

from ..data.contamination import contaminated_texts
from ..data.files import Rows
from ..data.views import Views
from ..model_folders import ModelFolder
from ..teachers.endpoint_teacher import EndpointTeacher, endpoint_of
from ..teachers.local import LocalTeacher, predict
from ..teachers.naming_endpoint import naming_endpoint
from ..teachers.teacher import Encoder
from ..training.examples import Examples, Lookup, Split, collect, kept_by_teacher
from ..training.learner import Learner, Learning
from ..training.signals import Signals
from .head import Head, RowHead

Preprocessing = TextPreprocessing | ImagePreprocessing
T = TypeVar("T", bound=LocalTeacher)


class Engine(Protocol):
    """A model that answers like an artifact that serves."""

    @property
    def encoder(self) -> Encoder:
        """The encoder of its inputs."""

    def outputs(self, inputs: Sequence[Any], /) -> NDArray[np.float32]:
        """Answers float32 [inputs, outputs], as one batch."""

    def run(self, batch: Any, /) -> NDArray[np.float32]:
        """Answers float32 [rows, outputs] to a batch of its encoder."""


class Task(ABC, Generic[T]):
    """One value of spec.task."""

    name: str
    format: Format = "onnx-fp32"  # of its artifacts

    @abstractmethod
    def fetch_teacher(self, run: StageRun, source: ModelSource, dest: Path) -> T:
        """Download a teacher's folder and check its static files. Raises InputRefused and storage errors."""

    def endpoint_teacher(self, run: StageRun, spec: TeacherSpec) -> EndpointTeacher[Any]:
        """A teacher behind an endpoint, where nothing is asked yet. Raises InputRefused (LabelsIndistinct)."""
        return naming_endpoint(spec, self.head_of(endpoint_of(spec).labels or ()))

    @abstractmethod
    def load_rows(self, uri: str, field: str, columns: Columns, head: Head | None, workdir: Path) -> Rows:
        """Read a file of the dataset; `field` names it in messages. With a head, every row needs a gold value."""

    @abstractmethod
    def views(self, soft_labels: SoftLabels, teacher: T) -> Views:
        """How rows are shown to teacher and student. Raises InputRefused."""

    def contaminated(self, test: Rows, learned: Sequence[Rows]) -> list[bool]:
        """Which held-out rows stand in the rows to learn from: [rows]"""
        return contaminated_texts(test, learned)

    def units(self, rows: Rows, encoder: Any) -> Rows:
        """What models are asked about, one by one: the rows, unless the task cuts them."""
        return rows

    @abstractmethod
    def check_teacher(self, teacher: T, first: Sequence[Any]) -> None:
        """Answer the first rows as they are shown, and the largest that can come.

        Raises InputRefused (ModelUnsupported, WeightsCorrupt, and what a task adds).
        """

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
    def collect(
        self, train: Rows, unlabelled: Rows | None, teacher: T, lookup: Lookup, views: Views, seed: int
    ) -> Split[Any]:
        """What is learned and what chooses the checkpoint. Raises InputRefused (LabelsMissing)."""

    def kept_by_teacher(self, split: Split[Any], teacher: T, filters: Filters) -> Split[Any]:
        """The split without what the filters drop for the teacher's answers to it: nothing, unless those are labels."""
        return split

    @abstractmethod
    def without_teacher(self, split: Split[Any], teacher: T) -> Split[Any]:
        """What the control learns from: rows with gold values alone."""

    @abstractmethod
    def learner(
        self, teacher: T, soft_labels: SoftLabels, objective: Objective, signals: Signals | None
    ) -> Learning[Any]:
        """What a model learns from the split, by the resolved objective."""

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
    def engine(self, folder: Path, manifest: ArtifactManifest, threads: int) -> Engine:
        """The artifact in the engine that serves it. Raises ArtifactInvalid."""

    def in_engine(self, model: PreTrainedModel, source: Path, student: ArtifactManifest, folder: Path) -> Engine:
        """Another model in a scratch folder, to be timed as the student is: same engine and limits, one thread.

        source: its folder, with what prepares its inputs
        """
        self.export(model, source, student.preprocessing, folder)
        return self.engine(folder, student, threads=1)

    def predict(self, model: PreTrainedModel, batch: Any) -> NDArray[np.float32]:
        """A model's answers in torch to a batch of its encoder: [rows, outputs]."""
        return predict(model, batch)

    @abstractmethod
    def files(self, teacher: T) -> tuple[str, ...]:
        """Files of the teacher's folder that belong to its student, too: those that prepare its inputs."""

    @abstractmethod
    def preprocessing(self, teacher: T, columns: Columns) -> Preprocessing:
        """How the student's inputs are made, as its artifact tells it."""

    @abstractmethod
    def encoder(self, folder: Path, preprocessing: Preprocessing) -> Encoder:
        """The encoder of a trained student's inputs."""


class RowTask(Task[T]):
    """A task whose rows have one gold value each, or none."""

    def head(self, teacher: T) -> RowHead:
        """The teacher's."""
        assert isinstance(teacher.head, RowHead)  # noqa: S101 - as its task reads it
        return teacher.head

    def collect(
        self, train: Rows, unlabelled: Rows | None, teacher: T, lookup: Lookup, views: Views, seed: int
    ) -> Split[Examples]:
        """Encoded rows with gold values and soft labels."""
        return collect(train, unlabelled, teacher.encoder, self.head(teacher), lookup, views, seed)

    def kept_by_teacher(self, split: Split[Examples], teacher: T, filters: Filters) -> Split[Examples]:
        """Without rows to learn from that the filters drop. Raises InputRefused (EmptyTrainSet)."""
        return kept_by_teacher(split, self.head(teacher), filters)

    def without_teacher(self, split: Split[Examples], teacher: T) -> Split[Examples]:
        """The labelled rows."""
        return Split(split.learn.with_gold(self.head(teacher)), split.validation)

    def learner(
        self, teacher: T, soft_labels: SoftLabels, objective: Objective, signals: Signals | None
    ) -> Learning[Examples]:
        """Outputs against gold values and soft labels."""
        return Learner(teacher.encoder, self.head(teacher), objective, signals)
