"""What every model of an evaluation answers on the held-out rows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from distillery_api.artifact import ArtifactManifest
from distillery_api.digests import digest_files
from distillery_api.run import ArtifactRef, EvaluateRun
from distillery_storage import Prefix, fetch_artifact
from numpy.typing import NDArray

from ..artifacts.records import TrainRecord, fetch_model
from ..context import Context
from ..data.files import Rows
from ..tasks.head import Answer, Head
from ..tasks.task import Task
from ..teachers.local import LocalTeacher
from ..teachers.onnx_teacher import OnnxTeacher
from ..teachers.panel import Panel
from ..teachers.teacher import Encoder, outputs_of
from .latency import ANSWERS, Timings, measure
from .ranking import Ranking, ranking
from .teacher_answers import HeldOutAnswers, check_held_out

Told = tuple[Sequence[Answer], Sequence[float] | None]  # answers, and the probability of each: [rows]
Ask = Callable[[Rows], Told]


@dataclass
class Answers:
    """What a model has answered so far, and the probability that it gives each: [items]"""

    ask: Ask
    answers: list[Answer] = field(default_factory=list, init=False)
    confidences: list[float] | None = field(default=None, init=False)

    def answer(self, rows: Rows) -> None:
        """Ask it about further rows. Raises Interrupted."""
        answers, confidences = self.ask(rows)
        self.answers.extend(answers)
        if confidences is not None:
            self.confidences = [*(self.confidences or []), *confidences]


@dataclass
class Candidate(Answers):
    """One of the models under comparison."""

    digest: str
    parameters: int | None
    timings: Timings | None


@dataclass
class Evaluation:
    """The held-out rows, and what the models have answered to those of them that were looked at so far."""

    run: EvaluateRun
    context: Context
    task: Task[Any]
    head: Head
    encoder: Any  # of the student's inputs
    rows: Rows
    places: list[int] = field(default_factory=list)  # of the rows that were looked at
    models: dict[str, Candidate] = field(default_factory=dict)
    perturbed: dict[str, Answers] = field(default_factory=dict)  # the student's to changed rows, by perturbation
    answers_to_time: int = ANSWERS  # of models that serve

    @property
    def test(self) -> Rows:
        """The rows that were looked at, in the order of the answers."""
        return self.rows.take(self.places)

    def look_at(self, places: Sequence[int]) -> None:
        """Ask every model about further rows. Raises Interrupted."""
        further = self.rows.take(places)
        for asked in (*self.models.values(), *self.perturbed.values()):
            asked.answer(further)
        self.places.extend(places)

    def answered(self, rows: int) -> None:
        """Count rows that a model has answered. Raises Interrupted."""
        self.context.progress.advance(rows)
        self.check_stop()

    def check_stop(self) -> None:
        """Raises Interrupted."""
        self.context.check_stop("nothing of an evaluation is kept")

    def served(self, folder: str, manifest: ArtifactManifest, digest: str) -> Candidate:
        """An artifact, in the engine that serves it, by its own preprocessing and its own label names."""
        path, head = self.context.folder(folder), self.task.head_of(manifest.labels)
        engine = self.task.engine(path, manifest, self.context.threads)
        alone = self.task.engine(path, manifest, threads=1)
        timings = measure(alone, self.rows.inputs, self.answers_to_time, self.check_stop)
        return Candidate(self.asked(engine.run, engine.encoder, head), digest, manifest.parameters, timings)

    def asked(self, predict: Callable[[Any], NDArray[np.float32]], encoder: Encoder, head: Head) -> Ask:
        """How a model on this machine answers."""

        def ask(rows: Rows) -> Told:
            outputs = outputs_of(predict, encoder, rows.inputs, head.outputs, self.answered)
            return head.answers(outputs), head.confidences(outputs)

        return ask


def score_teacher(evaluation: Evaluation, manifest: ArtifactManifest, panel: Panel) -> None:
    """The teachers as one; where none gives a usable answer, theirs is one that is never right."""
    member_answers = HeldOutAnswers(evaluation.run, evaluation.context)

    def ask(rows: Rows) -> Told:
        outputs = panel.mixed(panel.gather(rows, member_answers), rows)
        gold = evaluation.head.truths(rows).get("gold", [])
        check_held_out(panel.head, outputs, gold, evaluation.run.dataset.columns.label)
        return panel.head.answers(outputs), panel.head.confidences(outputs)

    timings = teacher_timings(evaluation, manifest, panel)
    evaluation.models["teacher"] = Candidate(ask, panel.digest, panel.parameters(), timings)


def teacher_timings(evaluation: Evaluation, manifest: ArtifactManifest, panel: Panel) -> Timings | None:
    """That of one teacher with weights, in the student's engine; of others there is none to compare."""
    teacher = panel.members[0].teacher
    if len(panel.members) > 1 or not isinstance(teacher, LocalTeacher) or isinstance(teacher, OnnxTeacher):
        return None
    scratch = evaluation.context.folder("teacher-in-engine")
    engine = evaluation.task.in_engine(teacher.model, teacher.path, manifest, scratch)
    return measure(engine, evaluation.rows.inputs, between=evaluation.check_stop)


def score_control(evaluation: Evaluation, manifest: ArtifactManifest, record: TrainRecord, student: Prefix) -> None:
    """The control in torch, if the job trained one; its latency in the student's engine."""
    if record.control is None:
        return
    folder = fetch_model(student, record.control, evaluation.context.folder("control"))
    model, head = evaluation.task.load_student(folder), evaluation.task.head_of(record.labels)
    task, encoder = evaluation.task, evaluation.task.encoder(folder, record.preprocessing)
    ask = evaluation.asked(lambda batch: task.predict(model, batch), encoder, head)
    scratch = evaluation.context.folder("control-in-engine")
    engine = task.in_engine(model, folder, manifest, scratch)
    timings = measure(engine, evaluation.rows.inputs, between=evaluation.check_stop)
    digest = digest_files(record.control.files)
    evaluation.models["control"] = Candidate(ask, digest, record.control.parameters, timings)


def score_incumbent(evaluation: Evaluation, incumbent: ArtifactRef | None) -> None:
    """The model that serves now."""
    if incumbent is None:
        return
    manifest = fetch_artifact(incumbent.uri, incumbent.digest, evaluation.context.folder("incumbent"))
    evaluation.models["incumbent"] = evaluation.served("incumbent", manifest, incumbent.digest)


def rankings(evaluation: Evaluation) -> dict[str, Ranking] | None:
    """How each model ranks the texts of a query; None where there are no queries, or none with texts to rank."""
    truths = evaluation.head.truths(evaluation.test)
    if "query" not in truths:
        return None
    queries, gold = [str(query) for query in truths["query"]], np.array(truths["gold"], dtype=np.float64)
    models = evaluation.models.items()
    found = {name: ranking(queries, gold, np.array(model.answers, dtype=np.float64)) for name, model in models}
    return {name: each for name, each in found.items() if each} or None
