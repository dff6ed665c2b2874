"""What the job's teachers answer to held-out rows: computed here, or asked of an endpoint once and stored."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from distillery_api.run import EvaluateRun
from distillery_storage import open_prefix
from numpy.typing import NDArray

from ..context import Context
from ..labels.writer import SegmentWriter
from ..tasks.head import Answer, Head, RowHead
from ..teachers.panel import Member
from ..teachers.teacher import BatchTeacher


@dataclass(frozen=True)
class HeldOutAnswers:
    """Asks one teacher of a panel for held-out rows."""

    run: EvaluateRun
    context: Context

    def __call__(self, member: Member, wanted: dict[str, Any]) -> NDArray[np.float32]:
        """Outputs of the rows by key, in their order. Raises InputRefused and Interrupted."""
        if isinstance(member.teacher, BatchTeacher):
            return member.teacher.answers(list(wanted.values()), self._answered)
        return self._paid_once(member, wanted)

    def _answered(self, rows: int) -> None:
        self.context.progress.advance(rows)
        self.context.check_stop("nothing of an evaluation is kept")

    def _paid_once(self, member: Member, wanted: dict[str, Any]) -> NDArray[np.float32]:
        """Stored beside the answers to rows that are learned from, so that another evaluation asks nothing."""
        store, keys = member.store(open_prefix(self.run.storage)), list(wanted)
        missing, outputs = store.logits(keys)
        self.context.progress.resume(len(keys) - len(missing))
        if missing:
            store.describe()
            rows = {key: wanted[key] for key in keys if key in missing}
            member.teacher.label(rows, SegmentWriter(store, self.run.job.uid), self.context)
            _, outputs = store.logits(keys)
        return outputs


def check_held_out(head: Head, outputs: NDArray[np.float32], gold: Sequence[Answer], column: str) -> None:
    """Refuse teachers whose usable answers exchange labels or are no better than chance: a share of that says nothing.

    outputs: of the held-out rows, [rows, outputs]; gold: their gold answers, by name, from a column. Raises
    InputRefused (TeacherUnfit, UnknownLabel).
    """
    if isinstance(head, RowHead):
        usable = ~np.isnan(outputs).any(axis=1)
        head.check_answers(outputs[usable], head.gold(list(gold), "test", column)[usable], "test")
