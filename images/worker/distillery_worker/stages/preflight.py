"""preflight: check every input for real, resolve digests and keys, and count the rows without soft labels."""

from itertools import islice
from typing import Any

from distillery_api.digests import digest_of
from distillery_api.objective import Objective
from distillery_api.run import PreflightRun
from distillery_api.sources import revision_of
from distillery_api.summary import PreflightResult
from distillery_storage import Prefix, open_prefix
from transformers import PreTrainedModel

from ..artifacts.contamination import read_contamination, store_contamination
from ..artifacts.records import student_prefix
from ..context import Context
from ..data.answers import stored_answer
from ..data.files import Rows
from ..data.filters import LEARNED, Curated
from ..errors import InputRefused
from ..judging.judge import Judge, judge_of
from ..labels.codecs import Codec, admits
from ..labels.segments import RowLabels, encode_segment
from ..labels.store import LabelStore
from ..model_folders import ModelFolder
from ..tasks.head import Head
from ..tasks.registry import task_of
from ..tasks.task import Task
from ..teachers.endpoint_teacher import EndpointTeacher
from ..teachers.panel import Member, Panel, fetch_panel, named
from ..training.signals import signals_of
from .dataset import curate, load_files, selection_key
from .held_out import check_contamination, check_held_out
from .rechecking import recheck_all

FIRST_ROWS = 32  # that the teacher is tried on


def preflight(run: PreflightRun, context: Context) -> PreflightResult:
    """Raises InputRefused with the first thing that is wrong."""
    panel = fetch_panel(run, context)
    with named(panel.local_field, "teachers[0].model"):
        return inspected(run, panel, context)


def inspected(run: PreflightRun, panel: Panel, context: Context) -> PreflightResult:
    """The rest, once the teachers are loaded."""
    task, teacher = task_of(run), panel.local
    curated = curate(run, load_files(run, panel.head, (*LEARNED, "test"), context))
    files = curated.files
    check_rows(files)
    check_left(files["train"], panel.head, curated.dropped, run.training.seed)
    check_held_out(files["test"], panel.head, run.task, run.gate, run.training.control is not None)
    panel.weights(files["test"])
    views = task.views(run.soft_labels, teacher)
    asked = panel.questions(curated.learned(), views)
    for member in panel.members:
        refuse_bias(member.labels.codec, panel.head.resolved(run.objective))
    first = list(islice(views.all(files["train"]), FIRST_ROWS))
    answered = panel.check(task, first)
    given = task.fetch_student(run.student, teacher, context.folder("given"))
    student = task.fresh_student(run.student, teacher, given, run.training.seed)
    task.check_student(student, teacher, first[0][1])
    signals_of(student, teacher, run.objective, run.training.seed)
    storage = open_prefix(run.storage)
    judge = judge_of(run.dataset.wanted_filters, panel)
    ungraded = check_judge(judge, storage, asked, first, answered) if judge else None
    missing = {key: unanswered(member.store(storage), member, rows) for key, (member, rows) in asked.items()}
    per_row = {key: bytes_per_row(asked[key][0].labels.codec, first, labels) for key, labels in answered.items()}
    # Where rows or grades are missing, the label stage does it.
    rechecked = 0 if any(missing.values()) or ungraded else recheck_all(run, asked, context)
    key = student_key(run, panel.labels_key, files, student, given)
    known = contamination(task, student_prefix(storage, key), files["test"], curated)
    check_contamination(files["test"], known, panel.head, run.gate)
    return PreflightResult(
        teacher_digest=panel.digest,
        teacher_digests=panel.folder_digests(),
        teacher_revisions=panel.revisions(),
        labels_key=panel.labels_key,
        labels_keys=panel.labels_keys(),
        grades_key=judge.labels.key if judge else None,
        label_bytes=round(sum(len(missing[key]) * size for key, size in per_row.items())),
        student_key=key,
        student_model_digest=given.digest if given else None,
        student_model_revision=revision_of(given.uri) if given else None,
        selection_key=selection_key(run.dataset, files),
        rows={field: len(rows) for field, rows in files.items()},
        dropped_rows=curated.dropped,
        missing_rows=len(set().union(*missing.values())),
        rechecked_rows=rechecked or None,
        ungraded_rows=ungraded,
    )


def contamination(task: Task[Any], student: Prefix, test: Rows, curated: Curated) -> list[bool]:
    """Which held-out rows stand in those that the student learns from: searched for once for each student."""
    if (record := read_contamination(student, test)) is None:
        learned = {field: curated.files[field] for field in LEARNED if field in curated.files}
        record = store_contamination(student, test, task.contaminated(test, list(learned.values())), learned)
    return record.of(test)


def check_judge(
    judge: Judge,
    storage: Prefix,
    asked: dict[str, tuple[Member, dict[str, Any]]],
    first: list[tuple[str, Any]],
    answered: dict[str, list[RowLabels]],
) -> int:
    """Have it grade some answers to the first rows; gives how many stored ones it has yet to grade.

    asked, answered: rows by key, and answers to the first of the first rows, by labels key. Raises InputRefused.
    """
    key = judge.answers.key
    judge.check([stored_answer(row[0], labels) for (_, row), labels in zip(first, answered[key], strict=False)])
    return len(judge.ungraded(storage, asked[key][1]))


def unanswered(store: LabelStore, member: Member, rows: dict[str, Any]) -> set[str]:
    """Keys of rows that a teacher has no answer stored for. Raises InputRefused (AnswersUnusable)."""
    if not isinstance(member.teacher, EndpointTeacher):
        return rows.keys() - store.keys()
    found = store.lookup(list(rows))
    if found:
        member.teacher.check_stored(list(found.values()))
    return rows.keys() - found.keys()


def refuse_bias(codec: Codec, objective: Objective) -> None:
    """Raise InputRefused (BiasedSoftLabels) where training on such labels would not follow the teacher."""
    if refused := admits(codec, objective.divergence, objective.temperature or 1.0):
        raise InputRefused("BiasedSoftLabels", refused)


def bytes_per_row(codec: Codec, rows: list[tuple[str, Any]], labels: list[RowLabels]) -> float:
    """What the labels of the first of these rows, given with their keys, take in storage."""
    return len(encode_segment(codec, [key for key, _ in rows[: len(labels)]], labels)) / len(labels)


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
            "filters": run.dataset.wanted_filters.deciding(),
            "apartFrom": files["test"].digest if run.dataset.wanted_filters.contamination else None,
            "student": recipe,
            "architecture": type(student).__name__,
            "sequenceLength": run.dataset.sequence_length,
            "views": run.soft_labels.views,
            "objective": run.objective.dump(),
            "training": training,
        }
    )
