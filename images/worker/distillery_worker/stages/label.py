"""label: write the teachers' answers for this shard's rows that have none, and have them graded."""

from typing import Any

from distillery_api.run import LabelRun
from distillery_api.summary import LabelResult
from distillery_storage import open_prefix

from ..context import Context
from ..errors import InputRefused
from ..judging.judge import judge_of
from ..labels.store import LabelStore
from ..labels.writer import SegmentWriter
from ..tasks.registry import task_of
from ..teachers.panel import Member, Panel, fetch_panel
from .dataset import rows_to_learn
from .rechecking import recheck


def label(run: LabelRun, context: Context) -> LabelResult:
    """Label the shard, segment by segment; a second run skips what is stored."""
    panel = fetch_panel(run, context)
    if panel.labels_key != run.labels_key:
        raise InputRefused(
            "DigestMismatch",
            f"teachers: a model's folder changed after preflight (labels key {panel.labels_key},"
            f" not {run.labels_key}); restore the folder or apply the job again",
        )
    views = task_of(run).views(run.soft_labels, panel.local)
    questions = panel.questions(rows_to_learn(run, None, context).learned(), views)
    works = [Work(run, context, member, rows) for member, rows in questions.values()]
    context.progress.start(sum(len(work.rows) for work in works), "rows")
    context.progress.resume(sum(len(work.rows) - len(work.missing) for work in works))
    rechecked = sum(work.recheck() for work in works)
    for work in works:
        work.label()
    graded = grade_answers(run, context, panel, works)
    keys, labelled = ({key for work in works for key in getattr(work, part)} for part in ("rows", "missing"))
    return LabelResult(
        shard=context.shard,
        labelled_rows=len(labelled),
        reused_rows=len(keys - labelled),
        rechecked_rows=rechecked or None,
        unusable_rows=sum(work.writer.unusable for work in works) or None,
        tokens=sum(work.writer.tokens for work in works) + graded or None,
    )


class Work:
    """What one teacher has to answer in this shard."""

    def __init__(self, run: LabelRun, context: Context, member: Member, rows: dict[str, Any]) -> None:
        self.run, self.context, self.member, shards = run, context, member, run.soft_labels.shards
        self.rows = {key: row for key, row in rows.items() if shard_of(key, shards) == context.shard}
        store = member.store(open_prefix(run.storage))
        self.places = store.places()
        self.missing = {key: row for key, row in self.rows.items() if key not in self.places}
        self.writer = SegmentWriter(store, run.job.uid, context.shard, shards)

    def recheck(self) -> int:
        """Label a few of the stored rows again; gives how many. Raises InputRefused (LabelsNotReproduced)."""
        return recheck(self.run, self.member, self.rows, self.places, self.context)

    def label(self) -> None:
        """Answer the rows that have no answer yet."""
        if self.missing:
            self.writer.store.describe()
            self.member.teacher.label(self.missing, self.writer, self.context)


def grade_answers(run: LabelRun, context: Context, panel: Panel, works: list[Work]) -> int:
    """Have the job's judge, if it has one, grade the shard's answers that have no grade; gives the tokens spent."""
    judge = judge_of(run.dataset.wanted_filters, panel)
    if judge is None:
        return 0
    storage, rows = open_prefix(run.storage), {key: row for work in works for key, row in work.rows.items()}
    answers = judge.ungraded(storage, rows)
    writer = SegmentWriter(LabelStore.at(storage, judge.labels), run.job.uid, context.shard, run.soft_labels.shards)
    # Of the same unit, and beside what is done: the pods of a stage are counted together.
    context.progress.start(len(rows) + len(answers), "rows")
    context.progress.resume(len(rows))
    if answers:
        judge.grade(answers, writer, context)
    return writer.tokens


def shard_of(key: str, shards: int) -> int:
    """The shard that labels a row: only the row decides, so any number of shards covers each row once."""
    return int(key[:16], 16) % shards
