"""label: write the teacher's answers for this shard's rows that have none."""

from typing import Any

from distillery_api.run import LabelRun
from distillery_api.summary import LabelResult
from distillery_storage import open_prefix

from ..context import Context
from ..data.views import Views
from ..errors import InputRefused
from ..labels.store import LabelStore
from ..tasks.registry import TASKS
from ..teachers.teacher import Teacher, size
from .dataset import rows_to_learn

SEGMENT_ROWS = 2048  # work that a kill can cost


def label(run: LabelRun, context: Context) -> LabelResult:
    """Label the shard, segment by segment; a second run skips what is stored."""
    teacher = TASKS[run.task].fetch_teacher(run, context.folder("teacher"))
    labels = teacher.label_set(run.soft_labels)
    if labels.key != run.labels_key:
        raise InputRefused(
            "DigestMismatch",
            f"teachers[0].model: {run.teacher.uri} changed after preflight (labels key {labels.key},"
            f" not {run.labels_key}); restore the folder or apply the job again",
        )
    store = LabelStore.at(open_prefix(run.storage), labels)
    rows = shard_rows(run, context, TASKS[run.task].views(run.soft_labels, teacher))
    stored = store.keys()
    missing = {key: row for key, row in rows.items() if key not in stored}
    context.progress.start(len(rows), "rows")
    context.progress.resume(len(rows) - len(missing))
    if missing:
        store.describe()
        write_labels(run, context, store, teacher, missing)
    return LabelResult(shard=context.shard, labelled_rows=len(missing), reused_rows=len(rows) - len(missing))


def shard_rows(run: LabelRun, context: Context, views: Views) -> dict[str, Any]:
    """Views of the distinct rows to learn from that belong to this shard, by key."""
    keyed = {key: row for rows in rows_to_learn(run, None, context).learned() for key, row in views.all(rows)}
    return {key: row for key, row in keyed.items() if shard_of(key, run.soft_labels.shards) == context.shard}


def shard_of(key: str, shards: int) -> int:
    """The shard that labels a row: only the row decides, so any number of shards covers each row once."""
    return int(key[:16], 16) % shards


def write_labels(run: LabelRun, context: Context, store: LabelStore, teacher: Teacher, missing: dict[str, Any]) -> None:
    """Ask the teacher for the rows, and store a segment at a time."""
    # Longest first: memory runs out at once or never.
    keys = sorted(missing, key=lambda key: (-size(missing[key]), key))
    for start in range(0, len(keys), SEGMENT_ROWS):
        segment = keys[start : start + SEGMENT_ROWS]

        def answered(rows: int, stored: int = start) -> None:
            context.progress.advance(rows)
            context.check_stop(f"{stored} of {len(keys)} rows are stored")

        context.check_stop(f"{start} of {len(keys)} rows are stored")
        rows = teacher.labels(store.labels.codec, segment, [missing[key] for key in segment], answered)
        store.append(segment, rows, context.shard, run.job.uid)
