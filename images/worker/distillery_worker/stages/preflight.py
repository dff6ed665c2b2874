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
from ..data.filters import LEARNED
from ..errors import InputRefused
from ..labels.codecs import Codec, admits
from ..labels.segments import encode_segment
from ..labels.store import LabelStore
from ..model_folders import ModelFolder
from ..tasks.head import Head
from ..tasks.registry import TASKS
from ..teachers.teacher import Teacher
from ..training.signals import signals_of
from .dataset import curate, load_files, selection_key

FIRST_ROWS = 32  # that the teacher is tried on


def preflight(run: PreflightRun, context: Context) -> PreflightResult:
    """Raises InputRefused with the first thing that is wrong."""
    task = TASKS[run.task]
    teacher = task.fetch_teacher(run, context.folder("teacher"))
    curated = curate(run, load_files(run, teacher.head, (*LEARNED, "test"), context))
    files = curated.files
    check_rows(files)
    check_left(files["train"], teacher.head, curated.dropped, run.training.seed)
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
    wanted = {key for rows in curated.learned() for key in views.keys(rows)}
    missing = wanted - LabelStore.at(open_prefix(run.storage), labels).keys()
    return PreflightResult(
        teacher_digest=teacher.digest,
        labels_key=labels.key,
        label_bytes=round(len(missing) * bytes_per_row(teacher, labels.codec, first)),
        student_key=student_key(run, labels.key, files, student, given),
        student_model_digest=given.digest if given else None,
        selection_key=selection_key(run.dataset, files),
        rows={field: len(rows) for field, rows in files.items()},
        dropped_rows=curated.dropped,
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
            " or, for texts, set dataset.filters.contamination",
        )


def check_left(train: Rows, head: Head, dropped: dict[str, int], seed: int) -> None:
    """Some labelled rows are left to learn from, and others to validate on. Raises InputRefused (EmptyTrainSet)."""
    if len(set(train.keys)) < 2:
        lost = "".join(f", {count} dropped by dataset.filters.{name}" for name, count in dropped.items() if count)
        raise InputRefused(
            "EmptyTrainSet", f"dataset.train: has fewer than two different rows{lost}; add labelled rows"
        )
    head.validation(train, seed)


def check_spread(test: Rows, head: Head) -> None:
    """There are as many different held-out rows as an interval takes."""
    if (found := len(set(head.items(test)))) < head.fewest_items:
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
            "filters": run.dataset.wanted_filters.dump(),
            "apartFrom": files["test"].digest if run.dataset.wanted_filters.contamination else None,
            "student": recipe,
            "architecture": type(student).__name__,
            "sequenceLength": run.dataset.sequence_length,
            "views": run.soft_labels.views,
            "objective": run.objective.dump(),
            "training": training,
        }
    )
