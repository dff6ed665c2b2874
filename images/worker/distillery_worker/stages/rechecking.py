"""A few stored rows are labelled again: what was stored long ago must still be what the teacher answers."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from heapq import nsmallest
from math import ceil
from typing import Any

from distillery_api.run import StageRun
from distillery_storage import open_prefix

from ..context import Context
from ..errors import InputRefused
from ..labels.codecs import Codec, bytes_per_position
from ..labels.comparing import compare
from ..teachers.panel import Member
from ..teachers.teacher import BatchTeacher, in_segments

SHARE = 0.001  # of the stored rows
FEWEST = 8  # a single row says little


def recheck_all(run: StageRun, asked: Mapping[str, tuple[Member, dict[str, Any]]], context: Context) -> int:
    """`recheck` of every teacher with the rows that are its to answer."""
    storage = open_prefix(run.storage)
    return sum(recheck(run, member, rows, member.store(storage).places(), context) for member, rows in asked.values())


def recheck(run: StageRun, member: Member, rows: Mapping[str, Any], places: Mapping[str, str], context: Context) -> int:
    """Ask a teacher with weights again for a few of the rows, by key, that are stored; gives how many.

    places: what the store's `places` gives. Raises InputRefused (LabelsNotReproduced) where the answers differ.
    """
    teacher, stored = member.teacher, rows.keys() & places.keys()
    if not stored or not isinstance(teacher, BatchTeacher):
        return 0
    store = member.store(open_prefix(run.storage))
    keys = first_segment(teacher, store.labels.codec, rows, draw(stored, run.job.uid, teacher.rechecked_rows))
    inputs = [rows[key] for key in keys]
    live = teacher.labels(store.labels.codec, keys, inputs, lambda _: context.check_stop("the stored rows are kept"))
    found = compare(store.labels.codec, store.few(keys, places), live)
    if not found.agrees:
        raise InputRefused(
            "LabelsNotReproduced",
            f"teachers: '{member.spec.name}' answers {found.differing} of {len(keys)} stored rows otherwise now,"
            f" {found.words}; another image or device wrote them, or they were changed: use that image and device,"
            f" or delete {store.prefix.uri}, and its rows are labelled again",
        )
    return len(keys)


def first_segment(teacher: BatchTeacher, codec: Codec, rows: Mapping[str, Any], keys: Sequence[str]) -> list[str]:
    """The first of the keys, as many as one segment takes."""
    sizes = [teacher.positions(rows[key]) * bytes_per_position(codec) for key in keys]
    return next(in_segments(keys, sizes, len(keys)))


def draw(keys: Collection[str], job_uid: str, most: int) -> list[str]:
    """The keys that a job checks: every attempt of it the same ones, another job others."""
    count = min(most, max(FEWEST, ceil(SHARE * len(keys))))
    return nsmallest(count, keys, lambda key: hashlib.sha256(f"{job_uid}\n{key}".encode()).digest())
