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
from ..labels.segments import RowLabels, encode_segment
from ..labels.store import LabelStore
from ..model_folders import ModelFolder
from ..tasks.head import Head
from ..tasks.registry import TASKS
from ..teachers.endpoint_teacher import EndpointTeacher
from ..teachers.panel import Member, fetch_panel
from ..training.signals import signals_of

FIRST_ROWS = 32  # that the teacher is tried on


def preflight(run: PreflightRun, context: Context) -> PreflightResult:
    """Raises InputRefused with the first thing that is wrong."""
    task = TASKS[run.task]
    panel = fetch_panel(run, context)
    teacher = panel.local
    files = load_dataset(run, panel.head, context)
    check_rows(files)
    check_spread(files["test"], panel.head)
    panel.weights(files["test"])
    views = task.views(run.soft_labels, teacher)
    asked = panel.questions([files[field] for field in ("train", "unlabelled") if field in files], views)
    for member in panel.members:
        refuse_bias(member.labels.codec, panel.head.resolved(run.objective))
    first = list(islice(views.all(files["train"]), FIRST_ROWS))
    answered = panel.check(task, first)
    given = task.fetch_student(run.student, teacher, context.folder("given"))
    student = task.fresh_student(run.student, teacher, given, run.training.seed)
    task.check_student(student, teacher, first[0][1])
    signals_of(student, teacher, run.objective, run.training.seed)
    storage = open_prefix(run.storage)
    missing = {key: unanswered(member.store(storage), member, rows) for key, (member, rows) in asked.items()}
    per_row = {key: bytes_per_row(asked[key][0].labels.codec, first, labels) for key, labels in answered.items()}
    return PreflightResult(
        teacher_digest=panel.digest,
        teacher_digests=panel.folder_digests(),
        labels_key=panel.labels_key,
        labels_keys=panel.labels_keys(),
        label_bytes=round(sum(len(missing[key]) * size for key, size in per_row.items())),
        student_key=student_key(run, panel.labels_key, files, student, given),
        student_model_digest=given.digest if given else None,
        rows={field: len(rows) for field, rows in files.items()},
        missing_rows=len(set().union(*missing.values())),
    )


def unanswered(store: LabelStore, member: Member, rows: dict[str, Any]) -> set[str]:
    """Keys of rows that a teacher has no answer stored for. Raises InputRefused (AnswersUnusable)."""
    if not isinstance(member.teacher, EndpointTeacher):
        return rows.keys() - store.keys()
    missing, logits = store.logits(list(rows))
    if len(missing) < len(rows):
        member.teacher.check_stored(logits[[key not in missing for key in rows]])
    return missing


def refuse_bias(codec: Codec, objective: Objective) -> None:
    """Raise InputRefused (BiasedSoftLabels) where training on such labels would not follow the teacher."""
    if refused := admits(codec, objective.divergence, objective.temperature or 1.0):
        raise InputRefused("BiasedSoftLabels", refused)


def bytes_per_row(codec: Codec, rows: list[tuple[str, Any]], labels: list[RowLabels]) -> float:
    """What labels of rows, given with their keys, take in storage."""
    return len(encode_segment(codec, [key for key, _ in rows], labels)) / len(rows)


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
