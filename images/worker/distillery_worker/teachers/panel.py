"""The job's teachers together: who answers which row, and what their answers make as one."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
from distillery_api.digests import digest_of
from distillery_api.run import StageRun
from distillery_api.sources import ModelSource, revision_of
from distillery_api.teachers import Teacher as TeacherSpec
from distillery_storage import Prefix
from numpy.typing import NDArray

from ..context import Context
from ..data.files import Rows
from ..data.views import Views
from ..errors import InputRefused
from ..labels.codecs import TextCodec, many_positions
from ..labels.local_copy import local_copy
from ..labels.segments import LabelledRows, RowLabels
from ..labels.store import LabelSet, LabelStore, refuse_missing
from ..tasks.head import Head
from ..tasks.registry import task_of
from ..tasks.task import Task
from .endpoint_teacher import EndpointTeacher
from .ensemble import Floats, align, common_labels, disagreement, mean_log_probabilities, route
from .local import LocalTeacher
from .teacher import Teacher
from .text import fetch_text_teacher
from .writing_endpoint import WritingEndpoint

QUESTIONS = 4  # rows that preflight asks an endpoint for
AskMember = Callable[["Member", dict[str, Any]], NDArray[np.float32]]  # rows by key -> outputs in their order


@dataclass(frozen=True)
class Member:
    """One teacher of the panel, and what its soft labels are."""

    spec: TeacherSpec
    teacher: Teacher
    labels: LabelSet

    def store(self, storage: Prefix) -> LabelStore:
        """Its soft labels."""
        return LabelStore.at(storage, self.labels)


@dataclass(frozen=True)
class Panel:
    """One teacher or more. `head` is what their answers are as one: label names in the first teacher's order."""

    members: tuple[Member, ...]
    local: LocalTeacher  # whose tokenizer the student has; where no teacher has a folder, the student's own
    head: Head

    @property
    def digest(self) -> str:
        """The teacher's, or that of all, with weights and slices."""
        return self._together([member.teacher.digest for member in self.members])

    @property
    def labels_key(self) -> str:
        """Key of what a student learns from: the label set's, or that of all, with weights and slices."""
        return self._together([member.labels.key for member in self.members])

    def _together(self, parts: Sequence[str]) -> str:
        if len(parts) == 1:
            return parts[0]
        specs = [member.spec for member in self.members]
        return digest_of([[part, spec.weight, sorted(spec.slices)] for part, spec in zip(parts, specs, strict=True)])

    @property
    def local_field(self) -> str:
        """The field of the spec that says where `local` is."""
        folders = (number for number, member in enumerate(self.members) if isinstance(member.teacher, LocalTeacher))
        number = next(folders, None)
        return "student.model" if number is None else f"teachers[{number}].model"

    @property
    def writer(self) -> Member | None:
        """The one that writes, where the student learns texts."""
        texts = (member for member in self.members if isinstance(member.labels.codec, TextCodec))
        return next((member for member in texts if member.spec.weight > 0), None)

    @property
    def yardstick(self) -> Member | None:
        """The folder beside an endpoint that writes: it is never asked, and gives the likelihood that the other cannot.

        A chat endpoint does not tell how likely it finds a given text.
        """
        if self.writer is None or not isinstance(self.writer.teacher, WritingEndpoint):
            return None
        return next(member for member in self.members if isinstance(member.teacher, LocalTeacher))

    @property
    def in_verdict(self) -> "Panel":
        """The teachers that the student is held against: the yardstick where there is one, else all."""
        if (member := self.yardstick) is None:
            return self
        spec = member.spec.model_copy(update={"weight": 1.0, "slices": []})
        return replace(self, members=(replace(member, spec=spec),))

    def weights(self, rows: Rows) -> Floats:
        """What each teacher counts on each row: [teachers, rows]. Raises InputRefused (SliceWithoutTeacher)."""
        specs = [member.spec for member in self.members]
        slices = rows.slices if rows.slices is not None else [""] * len(rows)
        return route([spec.weight for spec in specs], [spec.slices for spec in specs], slices)

    def questions(self, files: Sequence[Rows], views: Views) -> dict[str, tuple[Member, dict[str, Any]]]:
        """By labels key: a teacher, and what it answers: the views of its distinct rows. Equal teachers are one."""
        asked: dict[str, tuple[Member, dict[str, Any]]] = {}
        for rows in files:
            for member, weights in zip(self.members, self.weights(rows), strict=True):
                _, wanted = asked.setdefault(member.labels.key, (member, {}))
                wanted |= views.all(rows.take(np.flatnonzero(weights).tolist()))
        return asked

    def gather(self, rows: Rows, ask: AskMember) -> NDArray[np.float32]:
        """Answers [teachers, rows, outputs], NaN where a teacher is not asked or gives no usable answer."""
        found = np.full((len(self.members), len(rows), self.head.outputs), np.nan, dtype=np.float32)
        for place, (member, weights) in enumerate(zip(self.members, self.weights(rows), strict=True)):
            asked = np.flatnonzero(weights)
            wanted = {rows.keys[index]: rows.inputs[index] for index in asked}
            if wanted:
                outputs = self.aligned(member.teacher, ask(member, wanted))
                row_of = {key: row for row, key in enumerate(wanted)}
                found[place, asked] = outputs[[row_of[rows.keys[index]] for index in asked]]
        return found

    def stored(self, storage: Prefix, folder: Path, most_disagreement: float | None, rows: Rows) -> LabelledRows:
        """What is stored of the answers to the rows as one, in order; copied into the folder where it is large.

        Logits are NaN where no answer is usable, and where the teachers disagree more than that. Raises InputRefused
        (LabelsMissing).
        """
        if one := self.writer or (self.members[0] if len(self.members) == 1 else None):
            store = one.store(storage)
            large = many_positions(store.labels.codec)
            return local_copy(store, rows.keys, folder) if large else store.rows(rows.keys)
        missing: set[str] = set()

        def look_up(member: Member, wanted: dict[str, Any]) -> NDArray[np.float32]:
            lacking, logits = member.store(storage).logits(list(wanted))
            missing.update(lacking)
            return logits

        answers = self.gather(rows, look_up)
        mixed = self.mixed(answers, rows)
        if most_disagreement is not None:
            mixed[disagreement(answers, self.weights(rows)) > most_disagreement] = np.nan
        refuse_missing(missing, rows.keys)
        return [{"logits": row[None]} for row in mixed]

    def aligned(self, teacher: Teacher, outputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """A teacher's outputs with its labels in the panel's order."""
        if teacher.head.labels == self.head.labels:
            return outputs
        return align(outputs, teacher.head.labels, self.head.labels)

    def mixed(self, answers: NDArray[np.float32], rows: Rows) -> NDArray[np.float32]:
        """One answer a row, [rows, outputs], from those of the teachers; NaN where none answered."""
        if len(self.members) == 1:
            alone: NDArray[np.float32] = answers[0]
            return alone
        return mean_log_probabilities(answers, self.weights(rows))

    def labels_keys(self) -> dict[str, str] | None:
        """Keys of several teachers' label sets by name; one teacher's is the panel's."""
        return {member.spec.name: member.labels.key for member in self.members} if len(self.members) > 1 else None

    def folder_digests(self) -> dict[str, str] | None:
        """Digests of several teachers' folders by name, to pin them; one teacher's is the panel's."""
        folders = {
            member.spec.name: member.teacher.digest
            for member in self.members
            if isinstance(member.teacher, LocalTeacher)
        }
        return folders if folders and len(self.members) > 1 else None

    def revisions(self) -> list[str] | None:
        """Of each teacher's folder in order, empty where its address has none; None where all are empty."""
        found = [revision_of(member.spec.model.uri) if member.spec.model else None for member in self.members]
        return [revision or "" for revision in found] if any(found) else None

    def parameters(self) -> int | None:
        """Weights of all teachers that count; None where one is behind an endpoint."""
        teachers = {member.teacher.digest: member.teacher for member in self.members if member.spec.weight > 0}
        sizes = [teacher.parameters() for teacher in teachers.values() if isinstance(teacher, LocalTeacher)]
        return sum(sizes) if len(sizes) == len(teachers) else None

    def check(self, task: Task[Any], first: Sequence[tuple[str, Any]]) -> dict[str, list[RowLabels]]:
        """Answers of every teacher that counts to the first rows, given with their keys; by labels key.

        The yardstick is tried on them as well. Raises InputRefused.
        """
        answered = dict[str, list[RowLabels]]()
        for number, member in enumerate(self.members):
            with named(f"teachers[{number}]"):
                if member.spec.weight > 0 and member.labels.key not in answered:
                    answered[member.labels.key] = tried(task, member, first)
                elif member is self.yardstick:
                    task.check_teacher(self.local, [row for _, row in first])
        return answered


def tried(task: Task[Any], member: Member, first: Sequence[tuple[str, Any]]) -> list[RowLabels]:
    """Let one teacher answer: its labels as they are stored, of the first rows alone where they are texts.

    A few labels that an endpoint names stand for those of all.
    """
    if isinstance(member.teacher, EndpointTeacher):
        answers = member.teacher.check(dict(first[:QUESTIONS]))
        texts = isinstance(member.labels.codec, TextCodec)
        return answers if texts else list(islice(cycle(answers), len(first)))
    assert isinstance(member.teacher, LocalTeacher)  # noqa: S101 - there is no other
    task.check_teacher(member.teacher, [row for _, row in first])
    asked = first[: member.teacher.tried_rows]
    keys, rows = [key for key, _ in asked], [row for _, row in asked]
    return member.teacher.labels(member.labels.codec, keys, rows, lambda _: None)


def fetch_panel(run: StageRun, context: Context) -> Panel:
    """Download and check every teacher; equal folders are one teacher, loaded once. Raises InputRefused."""
    loaded: dict[str, Teacher] = {}
    members = []
    for number, spec in enumerate(run.teachers):
        with named(f"teachers[{number}]"):
            teacher = fetch(run, spec, number, context)
        spec = pinned(spec, teacher)
        teacher = loaded.setdefault(teacher.digest, teacher)
        members.append(Member(spec, teacher, teacher.label_set(run.soft_labels)))
    weighted = [member for member in members if member.spec.weight > 0]
    common_labels({member.spec.name: member.teacher.head.labels for member in weighted})
    head = weighted[0].teacher.head
    local = own_tokenizer(run.tokenizer, head, context) if run.tokenizer else first_local(members)
    # Where the first that counts names the labels in another order, the student follows it.
    return Panel(tuple(members), local if local.head.labels == head.labels else replace(local, head=head), head)


def fetch(run: StageRun, spec: TeacherSpec, number: int, context: Context) -> Teacher:
    """One teacher, by where it is."""
    task = task_of(run)
    if spec.endpoint:
        return task.endpoint_teacher(run, spec)
    assert spec.model is not None  # noqa: S101 - the API takes one of the two
    teacher: LocalTeacher = task.fetch_teacher(run, spec.model, context.folder(f"teacher-{number}"))
    return teacher


def pinned(spec: TeacherSpec, teacher: Teacher) -> TeacherSpec:
    """The spec with the address at the revision that was fetched."""
    if spec.model is None or not isinstance(teacher, LocalTeacher):
        return spec
    return spec.model_copy(update={"model": spec.model.model_copy(update={"uri": teacher.uri})})


def own_tokenizer(source: ModelSource, head: Head, context: Context) -> LocalTeacher:
    """The student's folder in a teacher's place: for its tokenizer and length limit alone, it is never asked."""
    with named("student.model", "teachers[0].model"):
        return fetch_text_teacher(source, lambda *_: head, context.folder("tokenizer"))


def first_local(members: Sequence[Member]) -> LocalTeacher:
    """The teacher whose tokenizer the student has. Raises InputRefused (ModelUnsupported)."""
    for member in members:
        if isinstance(member.teacher, LocalTeacher):
            return member.teacher
    raise InputRefused(
        "ModelUnsupported",
        "teachers: none has a model, and the student takes its tokenizer from the first that has; add one, with"
        " weight 0 if it shall not be asked, or set student.model",
    )


@contextmanager
def named(field: str, first: str = "teachers[0]") -> Iterator[None]:
    """Messages about a teacher's folder name the first teacher; make them name this field."""
    try:
        yield
    except InputRefused as refused:
        raise InputRefused(refused.reason, refused.message.replace(first, field)) from refused
