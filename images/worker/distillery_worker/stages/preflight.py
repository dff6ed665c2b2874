"""preflight: check every input for real, resolve digests and keys, and count the rows without soft labels."""

from itertools import islice
from typing import Any

from distillery_api.digests import digest_of
from distillery_api.objective import Objective
from distillery_api.run import PreflightRun
from distillery_api.summary import PreflightResult
from distillery_storage import open_prefix
from transformers import PreTrainedModel

from ..context import Context
from ..data.files import Rows
from ..errors import InputRefused
from ..labels.codecs import Codec, admits
from ..labels.segments import encode_segment
from ..labels.store import LabelStore
from ..model_folders import ModelFolder
from ..tasks.head import Head
from ..tasks.registry import TASKS
from ..teachers.teacher import Teacher
from ..training.signals import signals_of

FIRST_ROWS = 32  # that the teacher is tried on


def preflight(run: PreflightRun, context: Context) -> PreflightResult:
    """Raises InputRefused with the first thing that is wrong."""
    task = TASKS[run.task]
    teacher = task.fetch_teacher(run, context.folder("teacher"))
    files = load_dataset(run, teacher.head, context)
    check_rows(files)
    check_spread(files["test"], teacher.head)
    views = task.views(run.soft_labels, teacher)
    first = list(islice(views.all(files["train"]), FIRST_ROWS))
    task.check_teacher(teacher, [row for _, row in first])
    given = task.fetch_student(run.student, teacher, context.folder("given"))
    student = task.fresh_student(run.student, teacher, given, run.training.seed)
    task.check_student(student, teacher, first[0][1])
    signals_of(student, teacher.model, run.objective, run.training.seed)
    labels = teacher.label_set(run.soft_labels)
    refuse_bias(labels.codec, teacher.head.resolved(run.objective))
    wanted = {key for field in ("train", "unlabelled") if field in files for key in views.keys(files[field])}
    missing = wanted - LabelStore.at(open_prefix(run.storage), labels).keys()
    return PreflightResult(
        teacher_digest=teacher.digest,
        labels_key=labels.key,
        label_bytes=round(len(missing) * bytes_per_row(teacher, labels.codec, first)),
        student_key=student_key(run, labels.key, files, student, given),
        student_model_digest=given.digest if given else None,
        rows={field: len(rows) for field, rows in files.items()},
        missing_rows=len(missing),
    )


def refuse_bias(codec: Codec, objective: Objective) -> None:
    """Raise InputRefused (BiasedSoftLabels) where training on such labels would not follow the teacher."""
    if refused := admits(codec, objective.divergence, objective.temperature or 1.0):
        raise InputRefused("BiasedSoftLabels", refused)


def bytes_per_row(teacher: Teacher, codec: Codec, first: list[tuple[str, Any]]) -> float:
    """What labels of the first rows, given with their keys, take in storage."""
    keys, rows = zip(*first, strict=True)
    return len(encode_segment(codec, list(keys), teacher.labels(codec, keys, rows, lambda _: None))) / len(first)


def load_dataset(run: PreflightRun, head: Head, context: Context) -> dict[str, Rows]:
    """The files of the dataset, by field name."""
    task, columns, folder = TASKS[run.task], run.dataset.columns, context.folder("data")
    files = {"train": task.load_rows(run.dataset.train, "train", columns, head, folder)}
    if run.dataset.unlabelled:
        files["unlabelled"] = task.load_rows(run.dataset.unlabelled, "unlabelled", columns, None, folder)
    files["test"] = task.load_rows(run.dataset.test, "test", columns, head, folder)
    return files


def check_rows(files: dict[str, Rows]) -> None:
    """There are rows, and none that decides the verdict is trained on."""
    if not files["test"].inputs:
        raise InputRefused("EmptyTestSet", "dataset.test: has no rows; add held-out rows, thousands if you can")
    if len(set(files["train"].keys)) < 2:
        raise InputRefused("EmptyTrainSet", "dataset.train: has fewer than two different rows; add labelled rows")
    held_out = files["test"].keys
    for field in ("train", "unlabelled"):
        seen = set(files[field].keys) if field in files else set()
        shared = [number for number, key in enumerate(held_out, 1) if key in seen]
        if shared:
            raise InputRefused(
                "TestInTraining",
                f"dataset.test: {len(shared)} rows, the first in row {shared[0]}, are in dataset.{field} too;"
                " the student would be judged on rows it learned from: remove them from one of the files",
            )


def check_spread(test: Rows, head: Head) -> None:
    """There are as many different held-out rows as an interval takes."""
    if (found := len(set(test.keys))) < head.fewest_items:
        raise InputRefused(
            "EmptyTestSet",
            f"dataset.test: has {found} different row, and {head.fewest_items} are the least that an interval can be"
            " taken over; add held-out rows",
        )


def student_key(
    run: PreflightRun, labels_key: str, files: dict[str, Rows], student: PreTrainedModel, given: ModelFolder | None
) -> str:
    """Key of everything a student depends on; how often it is checkpointed and who shares the work is not among it."""
    training: dict[str, Any] = run.training.dump()
    for unrelated in ("checkpointEverySteps", "nodes", "processesPerNode"):
        training.pop(unrelated)
    recipe: dict[str, Any] = run.student.dump()
    if given:  # its content, wherever it is kept
        recipe["model"] = given.digest
    return digest_of(
        {
            "labelsKey": labels_key,
            "task": run.task,
            "train": files["train"].digest,
            "unlabelled": files["unlabelled"].digest if "unlabelled" in files else None,
            "columns": run.dataset.columns.dump(),
            "student": recipe,
            "architecture": type(student).__name__,
            "sequenceLength": run.dataset.sequence_length,
            "views": run.soft_labels.views,
            "objective": run.objective.dump(),
            "training": training,
        }
    )
