"""preflight: check every input for real, resolve digests and keys, and count the rows without soft labels."""

from typing import Any

from distillery_api.digests import digest_of
from distillery_api.run import PreflightRun
from distillery_api.summary import PreflightResult
from distillery_storage import open_prefix

from ..context import Context
from ..data.files import Rows
from ..errors import InputRefused
from ..labels.store import LabelStore
from ..tasks.head import Head
from ..tasks.registry import TASKS
from ..teachers.endpoint_teacher import EndpointTeacher
from ..teachers.panel import fetch_panel
from ..teachers.teacher import Teacher


def preflight(run: PreflightRun, context: Context) -> PreflightResult:
    """Raises InputRefused with the first thing that is wrong."""
    task = TASKS[run.task]
    panel = fetch_panel(run, context)
    files = load_dataset(run, panel.head, context)
    check_rows(files)
    panel.check(task, files["train"], files["test"])
    task.check_student(run.student, panel.local)
    asked = panel.questions([files[field] for field in ("train", "unlabelled") if field in files])
    storage = open_prefix(run.storage)
    missing = [unanswered(LabelStore.at(storage, key), *question) for key, question in asked.items()]
    return PreflightResult(
        teacher_digest=panel.digest,
        teacher_digests=panel.folder_digests(),
        labels_key=panel.labels_key,
        student_key=student_key(run, panel.labels_key, files),
        rows={field: len(rows) for field, rows in files.items()},
        missing_rows=len(set().union(*missing)),
    )


def unanswered(store: LabelStore, teacher: Teacher, rows: dict[str, Any]) -> set[str]:
    """Keys of rows that a teacher has no answer stored for. Raises InputRefused (AnswersUnusable)."""
    if not isinstance(teacher, EndpointTeacher):
        return set(rows) - store.keys()
    missing, outputs = store.lookup(list(rows))
    lacking = set(missing)
    if len(lacking) < len(rows):
        teacher.check_stored(outputs[[key not in lacking for key in rows]])
    return lacking


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


def student_key(run: PreflightRun, labels_key: str, files: dict[str, Rows]) -> str:
    """Key of everything a student depends on; how often training is checkpointed is not among it."""
    training: dict[str, Any] = run.training.dump()
    training.pop("checkpointEverySteps")
    return digest_of(
        {
            "labelsKey": labels_key,
            "task": run.task,
            "train": files["train"].digest,
            "unlabelled": files["unlabelled"].digest if "unlabelled" in files else None,
            "columns": run.dataset.columns.dump(),
            "student": run.student.dump(),
            "architecture": TASKS[run.task].architecture(run.student),
            "objective": run.objective.dump(),
            "training": training,
        }
    )
