"""What every model of an evaluation answers on the held-out rows."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from distillery_api.artifact import ArtifactManifest
from distillery_api.digests import digest_files
from distillery_api.run import ArtifactRef, EvaluateRun
from distillery_storage import Prefix, fetch_artifact

from ..artifacts.records import TrainRecord, fetch_model
from ..context import Context
from ..data.files import Rows
from ..tasks.head import Answer, Head
from ..tasks.task import Task
from ..teachers.local import LocalTeacher
from ..teachers.onnx_teacher import OnnxTeacher
from ..teachers.panel import Panel
from ..teachers.teacher import outputs_of
from .latency import measure
from .ranking import Ranking, ranking
from .teacher_answers import HeldOutAnswers

NO_ANSWER = ""


@dataclass
class Candidate:
    """One model's answers, and the probability that it gives each: [items]"""

    answers: Sequence[Answer]
    confidences: Sequence[float] | None
    digest: str
    parameters: int | None
    p50_ms: float | None
    p99_ms: float | None


@dataclass
class Evaluation:
    """What the models are run on."""

    run: EvaluateRun
    context: Context
    task: Task[Any]
    head: Head
    test: Rows
    models: dict[str, Candidate] = field(default_factory=dict)

    def answered(self, rows: int) -> None:
        """Count rows that a model has answered. Raises Interrupted."""
        self.context.progress.advance(rows)
        self.context.check_stop("nothing of an evaluation is kept")

    def served(self, folder: str, manifest: ArtifactManifest, digest: str) -> Candidate:
        """An artifact, in the engine that serves it, by its own preprocessing and its own label names."""
        path, head = self.context.folder(folder), self.task.head_of(manifest.labels)
        engine = self.task.engine(path, manifest, self.context.threads)
        outputs = outputs_of(engine.run, engine.encoder, self.test.inputs, head.outputs, self.answered)
        latency = measure(self.task.engine(path, manifest, threads=1), self.test.inputs)
        told = head.answers(outputs), head.confidences(outputs)
        return Candidate(*told, digest, manifest.parameters, *latency)


def score_teacher(evaluation: Evaluation, manifest: ArtifactManifest, panel: Panel) -> None:
    """What the teachers answer as one; where none gives a usable answer, an answer that is never right."""
    ask = HeldOutAnswers(evaluation.run, evaluation.context)
    outputs = panel.mixed(panel.gather(evaluation.test, ask), evaluation.test)
    answers = panel.head.answers(outputs)
    if panel.head.labels:
        for row in np.flatnonzero(np.isnan(outputs).any(axis=1)):
            answers[row] = NO_ANSWER
    latency = teacher_latency(evaluation, manifest, panel)
    told = answers, panel.head.confidences(outputs)
    evaluation.models["teacher"] = Candidate(*told, panel.digest, panel.parameters(), *latency)


def teacher_latency(
    evaluation: Evaluation, manifest: ArtifactManifest, panel: Panel
) -> tuple[float, float] | tuple[None, None]:
    """That of one teacher with weights, in the student's engine; of others there is none to compare."""
    teacher = panel.members[0].teacher
    if len(panel.members) > 1 or not isinstance(teacher, LocalTeacher) or isinstance(teacher, OnnxTeacher):
        return None, None
    scratch = evaluation.context.folder("teacher-in-engine")
    engine = evaluation.task.in_engine(teacher.model, teacher.path, manifest, scratch)
    return measure(engine, evaluation.test.inputs)


def score_control(evaluation: Evaluation, manifest: ArtifactManifest, record: TrainRecord, student: Prefix) -> None:
    """The control in torch, if the job trained one; its latency in the student's engine."""
    if record.control is None:
        return
    folder = fetch_model(student, record.control, evaluation.context.folder("control"))
    model, head = evaluation.task.load_student(folder), evaluation.task.head_of(record.labels)
    task, test = evaluation.task, evaluation.test.inputs
    encoder = task.encoder(folder, record.preprocessing)
    outputs = outputs_of(lambda batch: task.predict(model, batch), encoder, test, head.outputs, evaluation.answered)
    scratch = evaluation.context.folder("control-in-engine")
    latency = measure(task.in_engine(model, folder, manifest, scratch), test)
    digest = digest_files(record.control.files)
    told = head.answers(outputs), head.confidences(outputs)
    evaluation.models["control"] = Candidate(*told, digest, record.control.parameters, *latency)


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
