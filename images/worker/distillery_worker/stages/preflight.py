"""preflight: check every input for real, resolve digests and keys, and count the rows without soft labels."""

from typing import Any

from distillery_api.digests import digest_of
from distillery_api.run import PreflightRun
from distillery_api.summary import PreflightResult
from distillery_storage import open_prefix

from ..context import Context
from ..data.files import Rows
from ..data.filters import LEARNED
from ..errors import InputRefused
from ..labels.store import LabelStore
from ..tasks.head import Head
from ..tasks.registry import TASKS
from ..training.examples import validation_of
from .dataset import curate, load_files


def preflight(run: PreflightRun, context: Context) -> PreflightResult:
    """Raises InputRefused with the first thing that is wrong."""
    task = TASKS[run.task]
    teacher = task.fetch_teacher(run.teacher, context.folder("teacher"))
    curated = curate(run, load_files(run, teacher.head, (*LEARNED, "test"), context))
    files = curated.files
    check_rows(files)
    check_left(files["train"], teacher.head, curated.dropped, run.training.seed)
    task.check_teacher(teacher, files["train"].inputs[0])
    task.check_student(run.student, teacher)
    labels_key = teacher.codec(run.soft_labels.kind).key
    wanted = {key for rows in curated.learned() for key in rows.keys}
    missing = wanted - LabelStore.at(open_prefix(run.storage), labels_key).keys()
    return PreflightResult(
        teacher_digest=teacher.digest,
        labels_key=labels_key,
        student_key=student_key(run, teacher.head, labels_key, files),
        rows={field: len(rows) for field, rows in files.items()},
        dropped_rows=curated.dropped,
        missing_rows=len(missing),
    )


def check_rows(files: dict[str, Rows]) -> None:
    """There are rows, and none that decides the verdict is trained on."""
    if not files["test"].inputs:
        raise InputRefused("EmptyTestSet", "dataset.test: has no rows; add held-out rows, thousands if you can")
    for field in LEARNED:
        if field in files:
            refuse_shared(field, "rows", files["test"].keys, files[field].keys)
            refuse_shared(field, "rows by their group", files["test"].groups or [], files[field].groups or [])


def refuse_shared(field: str, what: str, held_out: list[str], learned: list[str]) -> None:
    """Raise InputRefused (TestInTraining) when a test row's name is among those of the rows to learn from."""
    seen = set(learned)
    shared = [number for number, name in enumerate(held_out, 1) if name in seen]
    if shared:
        raise InputRefused(
            "TestInTraining",
            f"dataset.test: {len(shared)} {what}, the first in row {shared[0]}, are in dataset.{field} too;"
            " the student would be judged on what it learned from: remove them from one of the files,"
            " or set dataset.filters.contamination",
        )


def check_left(train: Rows, head: Head, dropped: dict[str, int], seed: int) -> None:
    """Some labelled rows are left to learn from, and others to validate on. Raises InputRefused (EmptyTrainSet)."""
    if len(set(train.keys)) < 2:
        lost = "".join(f", {count} dropped by dataset.filters.{name}" for name, count in dropped.items() if count)
        raise InputRefused(
            "EmptyTrainSet", f"dataset.train: has fewer than two different rows{lost}; add labelled rows"
        )
    validation_of(train, head, seed)


def student_key(run: PreflightRun, head: Head, labels_key: str, files: dict[str, Rows]) -> str:
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
            "filters": run.dataset.wanted_filters.dump(),
            "apartFrom": files["test"].digest if run.dataset.wanted_filters.contamination else None,
            "student": run.student.dump(),
            "architecture": TASKS[run.task].architecture(run.student),
            "objective": head.resolved(run.objective).dump(),
            "training": training,
        }
    )
