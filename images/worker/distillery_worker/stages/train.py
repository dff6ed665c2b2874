"""train: the student on soft and gold labels, and the control on gold labels alone."""

import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path

from distillery_api.artifact import Preprocessing
from distillery_api.distillationjob import Objective
from distillery_api.run import TrainRun
from distillery_api.summary import TrainResult
from distillery_engine import TextTokenizer
from distillery_storage import Prefix, open_prefix
from distillery_storage.folders import file_digest
from torch import Tensor

from ..artifacts.records import ModelRecord, TrainRecord, publish_record, read_record, student_prefix
from ..context import Context
from ..data.files import load_rows
from ..labels.store import LabelStore
from ..students.bert import MeanPooledBert, build_student, count_parameters
from ..teachers.local import TOKENIZER, TOKENIZER_CONFIG, TeacherFolder, fetch_teacher, load_teacher
from ..training.checkpoints import Checkpoints
from ..training.examples import Split, collect
from ..training.fitting import Fit, Schedule

CONTROL_OBJECTIVE = Objective(alpha=0.0, temperature=1.0)


@dataclass(frozen=True)
class Training:
    """What student and control share."""

    run: TrainRun
    context: Context
    student: Prefix
    attempt: str
    teacher: TeacherFolder
    embeddings: Tensor
    tokenizer: TextTokenizer

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

    def fresh_model(self) -> MeanPooledBert:
        """Student and control start from the same weights, so that only the labels tell them apart."""
        return build_student(
            self.run.student.config,
            self.teacher.labels,
            self.embeddings,
            max_length=self.teacher.max_length,
            pad_token_id=self.teacher.pad_token_id,
            seed=self.run.training.seed,
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
        validation_accuracy=record.student.validation_accuracy,
        control_validation_accuracy=record.control.validation_accuracy if record.control else None,
        resumed_from_step=record.resumed_from_step,
    )


def train_both(run: TrainRun, context: Context, student: Prefix) -> TrainRecord:
    """Student first, then the control if the job asks for one."""
    teacher = fetch_teacher(run.teacher, context.folder("teacher"))
    embeddings = load_teacher(teacher, run.teacher.uri).get_input_embeddings().weight.detach().clone()
    # The token keeps two pods of one attempt (a lost node's pod may not be dead) out of each other's files.
    attempt = f"{run.job.uid}-{run.attempt}-{uuid.uuid4().hex[:8]}"
    training = Training(run, context, student, attempt, teacher, embeddings, teacher.tokenizer())
    split = load_split(training)
    schedule = training.schedule(len(split.learn), run.training.learning_rate)
    context.progress.start(schedule.steps * (2 if run.training.control else 1), "steps")
    learned, began = fit(training, "student", split, schedule, run.objective)
    control = None
    if run.training.control:
        paced = training.schedule(len(split.learn), run.training.control.learning_rate)
        control, _ = fit(training, "control", split.gold_only(), paced, CONTROL_OBJECTIVE)
    return publish_record(
        student,
        TrainRecord(
            job_uid=run.job.uid,
            teacher=teacher.digest,
            labels_key=run.labels_key,
            student_key=run.student_key,
            labels=list(teacher.labels),
            preprocessing=Preprocessing(max_length=teacher.max_length, pad_token_id=teacher.pad_token_id),
            validation_rows=len(split.validation),
            resumed_from_step=began,
            student=learned,
            control=control,
        ),
    )


def load_split(training: Training) -> Split:
    """The rows with their soft labels."""
    run, folder = training.run, training.context.folder("data")
    columns = run.dataset.columns
    gold = load_rows(run.dataset.train, "train", columns, training.teacher.labels, folder)
    unlabelled = None
    if run.dataset.unlabelled:
        unlabelled = load_rows(run.dataset.unlabelled, "unlabelled", columns, None, folder)
    store = LabelStore.at(open_prefix(run.storage), run.labels_key)
    return collect(gold, unlabelled, training.tokenizer, store, run.training.seed)


def fit(training: Training, name: str, split: Split, schedule: Schedule, target: Objective) -> tuple[ModelRecord, int]:
    """Train one model and upload it under the attempt; gives its record and the step it resumed from."""
    folder = training.context.folder(name)
    checkpoints = Checkpoints(training.student, training.attempt, name, training.context.folder("checkpoints"))
    work = Fit(training.fresh_model(), split, training.tokenizer, schedule, target)
    began = work.run(checkpoints, training.context)
    work.model.save_pretrained(folder)
    for file in (TOKENIZER, TOKENIZER_CONFIG):
        shutil.copy(training.teacher.path / file, folder / file)
    target_folder = f"attempts/{training.attempt}/{name}"
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
        validation_accuracy=work.standing.best_score,
    )
    return record, began


def upload(folder: Path, prefix: Prefix) -> dict[str, str]:
    """Copy the folder's files; gives their digests by name."""
    files = sorted(path for path in folder.iterdir() if path.is_file())
    for path in files:
        prefix.upload(path, path.name)
    return {path.name: file_digest(path) for path in files}
