"""train: the student on soft and gold labels, and the control on gold labels alone."""

import shutil
import uuid
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from distillery_api.objective import Objective
from distillery_api.run import TrainRun
from distillery_api.summary import TrainResult
from distillery_storage import Prefix, open_prefix
from distillery_storage.folders import file_digest

from ..artifacts.records import ModelRecord, TrainRecord, publish_record, read_record, student_prefix
from ..context import Context
from ..data.filters import LEARNED
from ..judging.judge import Judge, judge_of
from ..model_folders import ModelFolder
from ..progress import Progress
from ..students.adapters import merged
from ..students.bert import count_parameters
from ..students.pretrained import weights_digest
from ..tasks.registry import task_of
from ..tasks.task import Task
from ..teachers.local import LocalTeacher
from ..teachers.panel import Panel, fetch_panel
from ..training.checkpoints import Checkpoints
from ..training.examples import Lookup, Split
from ..training.fitting import Fit, Schedule
from ..training.ranks import Ranks, joined
from ..training.signals import signals_of
from .dataset import rows_to_learn


@dataclass(frozen=True)
class Training:
    """What student and control share."""

    run: TrainRun
    context: Context
    student: Prefix
    attempt: str
    task: Task[Any]
    panel: Panel
    given: ModelFolder | None
    ranks: Ranks

    @property
    def teacher(self) -> LocalTeacher:
        """The one whose tokenizer the student has, and whose layers it may start and learn from."""
        return self.panel.local

    @property
    def judge(self) -> Judge | None:
        """Who has graded the teacher's answers."""
        return judge_of(self.run.dataset.wanted_filters, self.panel)

    def schedule(self, rows: int, learning_rate: float) -> Schedule:
        """Both models take as many steps as the student needs for its epochs over `rows` rows."""
        training = self.run.training
        per_epoch = -(-rows // training.batch_size)
        return Schedule(
            steps=per_epoch * training.epochs,
            validate_every=per_epoch,
            checkpoint_every=training.checkpoint_every_steps,
            batch_size=training.batch_size,
            learning_rate=learning_rate,
            seed=training.seed,
        )


@dataclass(frozen=True)
class Fitted:
    """A trained model, the digest of its initial weights, and the step that training resumed from."""

    work: Fit[Any]
    initial: str
    began: int


def train(run: TrainRun, context: Context) -> TrainResult:
    """Train and publish; a student that is published already is only reported."""
    student = student_prefix(open_prefix(run.storage), run.student_key)
    record = read_record(student)
    if record is None:
        with joined() as ranks:
            # One word on how far it is: that of the first process.
            mine = context if ranks.first else replace(context, progress=Progress())
            record = train_both(run, mine, student, ranks)
    folder = f"{student.uri.removeprefix(run.storage.rstrip('/') + '/')}/{record.student.folder}"
    return TrainResult(
        student=folder,
        parameters=record.student.parameters,
        steps=record.student.steps,
        dropped_rows=record.dropped_rows,
        validation_score=record.student.validation_score,
        control_validation_score=record.control.validation_score if record.control else None,
        resumed_from_step=record.resumed_from_step,
    )


def train_both(run: TrainRun, context: Context, student: Prefix, ranks: Ranks) -> TrainRecord:
    """Student first, then the control if the job asks for one; what the first process publishes is the answer."""
    task = task_of(run)
    panel = fetch_panel(run, context)
    teacher = panel.local
    # The token keeps two pods of one attempt (a lost node's pod may not be dead) out of each other's files.
    attempt = f"{run.job.uid}-{run.attempt}-{uuid.uuid4().hex[:8]}"
    given = task.fetch_student(run.student, teacher, context.folder("given"))
    training = Training(run, context, student, attempt, task, panel, given, ranks)
    split = load_split(training)
    schedule = training.schedule(len(split.learn), run.training.learning_rate)
    context.progress.start(schedule.steps * (2 if run.training.control else 1), "steps")
    learned = fit(training, "student", split, schedule, teacher.head.resolved(run.objective))
    control = None
    if run.training.control:
        paced = training.schedule(len(split.learn), run.training.control.learning_rate)
        # Margins of gold scores are no signal from the teacher.
        target = Objective(alpha=0.0, temperature=1.0, margin=run.objective.margin)
        control = fit(training, "control", task.without_teacher(split, teacher), paced, target)
    if ranks.first:
        publish(training, split, learned, control)
    ranks.wait()
    record = read_record(student)
    assert record is not None  # noqa: S101 - the first process has published it
    return record


def publish(training: Training, split: Split[Any], learned: Fitted, control: Fitted | None) -> None:
    """Upload the models and write the record."""
    run, teacher = training.run, training.teacher
    publish_record(
        training.student,
        TrainRecord(
            job_uid=run.job.uid,
            teacher=training.panel.digest,
            labels_key=run.labels_key,
            labels_keys=training.panel.labels_keys(),
            grades_key=training.judge.labels.key if training.judge else None,
            student_key=run.student_key,
            labels=list(teacher.head.labels),
            preprocessing=training.task.preprocessing(teacher, training.run.dataset.columns),
            validation_rows=len(split.validation),
            dropped_rows=split.dropped,
            files=split.files,
            resumed_from_step=learned.began,
            student=store(training, "student", learned),
            control=store(training, "control", control) if control else None,
        ),
    )


def load_split(training: Training) -> Split[Any]:
    """The rows with their soft labels."""
    run, task, teacher = training.run, training.task, training.teacher
    curated = rows_to_learn(run, teacher.head, training.context)
    train, unlabelled = curated.files["train"], curated.files.get("unlabelled")
    storage, copied = open_prefix(run.storage), training.context.folder("labels")
    lookup: Lookup = partial(training.panel.stored, storage, copied, run.objective.max_disagreement)
    if training.judge:
        lookup = training.judge.graded(storage, lookup)
    views = task.views(run.soft_labels, teacher)
    split = task.collect(train, unlabelled, teacher, lookup, views, run.training.seed)
    if run.objective.alpha > 0:
        target = teacher.head.resolved(run.objective)
        task.learner(teacher, run.soft_labels, target, None).check_answers(split.learn)
    split = task.kept_by_teacher(split, teacher, run.dataset.wanted_filters)
    digests = {field: rows.digest for field, rows in curated.files.items() if field in LEARNED}
    return replace(split, dropped=curated.dropped | split.dropped, files=digests)


def fit(training: Training, name: str, split: Split[Any], schedule: Schedule, target: Objective) -> Fitted:
    """Train one model. Student and control start from the same weights, so that only the labels tell them apart."""
    teacher, seed = training.teacher, training.run.training.seed
    checkpoints = Checkpoints(training.student, training.attempt, name, training.context.folder("checkpoints"))
    model = training.task.fresh_student(training.run.student, teacher, training.given, seed)
    initial = weights_digest(model)
    signals = signals_of(model, teacher, target, seed)
    learner = training.task.learner(teacher, training.run.soft_labels, target, signals)
    work = Fit(model, split, learner, schedule, training.ranks)
    return Fitted(work, initial, began=work.run(checkpoints, training.context))


def store(training: Training, name: str, fitted: Fitted) -> ModelRecord:
    """Upload one model under the attempt; gives its record."""
    folder, work, schedule = training.context.folder(name), fitted.work, fitted.work.schedule
    trained = merged(work.model)
    trained.save_pretrained(folder)
    for file in training.task.files(training.teacher):
        shutil.copy(training.teacher.path / file, folder / file)
    target_folder = f"attempts/{training.attempt}/{name}"
    rows = len(work.split.learn)
    assert work.standing.best_score is not None  # noqa: S101 - the last step validates
    return ModelRecord(
        folder=target_folder,
        files=upload(folder, training.student.child(target_folder)),
        parameters=count_parameters(trained),
        learning_rate=schedule.learning_rate,
        steps=schedule.steps,
        best_step=work.standing.best_step,
        rows=rows,
        passes=schedule.steps * schedule.batch_size / rows,
        cpu_seconds=work.standing.cpu_seconds,
        micro_batch=work.standing.micro_batch,
        initial_weights=fitted.initial,
        validation_score=work.standing.best_score,
        initial_divergence=work.standing.initial_divergence,
        signal=work.standing.signal,
    )


def upload(folder: Path, prefix: Prefix) -> dict[str, str]:
    """Copy the folder's files; gives their digests by name."""
    files = sorted(path for path in folder.iterdir() if path.is_file())
    for path in files:
        prefix.upload(path, path.name)
    return {path.name: file_digest(path) for path in files}
