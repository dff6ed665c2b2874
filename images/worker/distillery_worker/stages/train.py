"""train: the student on soft and gold labels, and the control on gold labels alone."""

import shutil
import uuid
from dataclasses import dataclass, replace
from pathlib import Path

from distillery_api.distillationjob import Objective
from distillery_api.run import TrainRun
from distillery_api.summary import TrainResult
from distillery_storage import Prefix, open_prefix
from distillery_storage.folders import file_digest

from ..artifacts.records import ModelRecord, TrainRecord, publish_record, read_record, student_prefix
from ..context import Context
from ..labels.store import LabelStore
from ..students.bert import count_parameters
from ..tasks.registry import TASKS
from ..tasks.task import Task
from ..teachers.local import LocalTeacher
from ..training.checkpoints import Checkpoints
from ..training.examples import Split, collect
from ..training.fitting import Fit, Schedule
from ..training.learner import Learner
from .dataset import rows_to_learn

CONTROL_OBJECTIVE = Objective(alpha=0.0)


@dataclass(frozen=True)
class Training:
    """What student and control share."""

    run: TrainRun
    context: Context
    student: Prefix
    attempt: str
    task: Task
    teacher: LocalTeacher

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


def train(run: TrainRun, context: Context) -> TrainResult:
    """Train and publish; a student that is published already is only reported."""
    student = student_prefix(open_prefix(run.storage), run.student_key)
    record = read_record(student) or train_both(run, context, student)
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


def train_both(run: TrainRun, context: Context, student: Prefix) -> TrainRecord:
    """Student first, then the control if the job asks for one."""
    task = TASKS[run.task]
    teacher = task.fetch_teacher(run.teacher, context.folder("teacher"))
    # The token keeps two pods of one attempt (a lost node's pod may not be dead) out of each other's files.
    attempt = f"{run.job.uid}-{run.attempt}-{uuid.uuid4().hex[:8]}"
    training = Training(run, context, student, attempt, task, teacher)
    split = load_split(training)
    schedule = training.schedule(len(split.learn), run.training.learning_rate)
    context.progress.start(schedule.steps * (2 if run.training.control else 1), "steps")
    learned, began = fit(training, "student", split, schedule, run.objective)
    control = None
    if run.training.control:
        paced = training.schedule(len(split.learn), run.training.control.learning_rate)
        control, _ = fit(training, "control", split.gold_only(teacher.head), paced, CONTROL_OBJECTIVE)
    return publish_record(
        student,
        TrainRecord(
            job_uid=run.job.uid,
            teacher=teacher.digest,
            labels_key=run.labels_key,
            student_key=run.student_key,
            labels=list(teacher.head.labels),
            preprocessing=task.preprocessing(teacher, run.dataset.columns),
            validation_rows=len(split.validation),
            dropped_rows=split.dropped,
            resumed_from_step=began,
            student=learned,
            control=control,
        ),
    )


def load_split(training: Training) -> Split:
    """The rows with their soft labels."""
    run, teacher = training.run, training.teacher
    curated = rows_to_learn(run, teacher.head, training.context)
    train, unlabelled = curated.files["train"], curated.files.get("unlabelled")
    store = LabelStore.at(open_prefix(run.storage), run.labels_key)
    filters, seed = run.dataset.wanted_filters, run.training.seed
    split = collect(train, unlabelled, teacher.encoder, teacher.head, store, seed, filters)
    return replace(split, dropped=curated.dropped | split.dropped)


def fit(training: Training, name: str, split: Split, schedule: Schedule, target: Objective) -> tuple[ModelRecord, int]:
    """Train one model and upload it under the attempt; gives its record and the step it resumed from.

    Student and control start from the same weights, so that only the labels tell them apart.
    """
    folder, teacher = training.context.folder(name), training.teacher
    checkpoints = Checkpoints(training.student, training.attempt, name, training.context.folder("checkpoints"))
    model = training.task.fresh_student(training.run.student, teacher, training.run.training.seed)
    work = Fit(model, split, Learner(teacher.encoder, teacher.head, target), schedule)
    began = work.run(checkpoints, training.context)
    work.model.save_pretrained(folder)
    for file in training.task.files():
        shutil.copy(teacher.path / file, folder / file)
    target_folder = f"attempts/{training.attempt}/{name}"
    assert work.standing.best_score is not None  # noqa: S101 - the last step validates
    record = ModelRecord(
        folder=target_folder,
        files=upload(folder, training.student.child(target_folder)),
        parameters=count_parameters(work.model),
        learning_rate=schedule.learning_rate,
        steps=schedule.steps,
        best_step=work.standing.best_step,
        rows=len(split.learn),
        passes=schedule.steps * schedule.batch_size / len(split.learn),
        cpu_seconds=work.standing.cpu_seconds,
        validation_score=work.standing.best_score,
    )
    return record, began


def upload(folder: Path, prefix: Prefix) -> dict[str, str]:
    """Copy the folder's files; gives their digests by name."""
    files = sorted(path for path in folder.iterdir() if path.is_file())
    for path in files:
        prefix.upload(path, path.name)
    return {path.name: file_digest(path) for path in files}
