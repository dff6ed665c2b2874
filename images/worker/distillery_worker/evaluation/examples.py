"""Held-out rows worth looking at, with their content: the only rows that a report may hold, and only when asked."""

import io
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from distillery_engine import decode
from distillery_gate import EvaluationItems
from numpy.typing import NDArray

from ..data.blocks import Block
from ..data.text import whole_text
from .answering import Evaluation

EACH = 5  # rows of a kind
LONGEST = 1000  # characters of a text
SIDE = 96  # pixels of an image's longer side

Columns = Mapping[str, Sequence[Any]]
Badness = NDArray[np.float64]  # how much a row is of a kind, [rows]; -inf where it is not


def examples_file(evaluation: Evaluation, columns: Columns, worst: str | None) -> dict[str, Any]:
    """Columns of the examples: which item it is, its kinds, and its content as text or PNG.

    columns: those of the items. worst: the name of the worst slice, where slices are judged.
    """
    found = chosen(evaluation.head.metric, columns, worst)
    inputs = evaluation.test.inputs
    contents = [content(inputs[row], evaluation.encoder) for row in found]
    return {
        "item": pa.array([columns["item"][row] for row in found], pa.int64()),
        "kinds": pa.array(list(found.values()), pa.list_(pa.string())),
        "text": pa.array([each if isinstance(each, str) else None for each in contents], pa.string()),
        "image": pa.array([each if isinstance(each, bytes) else None for each in contents], pa.binary()),
    }


def chosen(metric: str, columns: Columns, worst: str | None) -> dict[int, list[str]]:
    """The kinds of each row that is shown, by its number: of every kind, the rows that are most of it."""
    kinds = mistakes(columns) if metric == EvaluationItems.metric else losses(columns)
    if worst is not None:
        *_, bad = kinds.values()  # the last kind is of all that is bad
        kinds["worstSlice"] = np.where(np.array(columns["slice"]) == worst, bad, -np.inf)
    found: dict[int, list[str]] = defaultdict(list)
    for kind, badness in kinds.items():
        for row in np.argsort(-badness, kind="stable")[:EACH]:
            if badness[row] > -np.inf:
                found[int(row)].append(kind)
    return dict(found)


def mistakes(columns: Columns) -> dict[str, Badness]:
    """Wrong answers by kind, the surest first."""
    gold, student, teacher = (np.array(columns[name]) for name in ("gold", "student", "teacher"))
    before = np.array(columns.get("incumbent", columns["teacher"]))
    sure, wrong = np.array(columns["student_confidence"], dtype=np.float64), student != gold
    kinds = {
        "negativeFlip": wrong & (before == gold),
        "copiedError": wrong & (student == teacher),
        "confidentMistake": wrong,
    }
    return {kind: np.where(rows, sure, -np.inf) for kind, rows in kinds.items()}


def losses(columns: Columns) -> dict[str, Badness]:
    """Errors or nats per token: beyond the incumbent's, or else the teacher's, and by themselves."""
    gold = np.array(columns.get("gold", 0.0))
    largest = "largestError" if "gold" in columns else "leastLikely"
    mine, before = (
        np.abs(np.array(answers) - gold)
        for answers in (columns["student"], columns.get("incumbent", columns["teacher"]))
    )
    return {"worseThanBefore": np.where(mine > before, mine - before, -np.inf), largest: mine}


def content(row: Any, encoder: Any) -> str | bytes:
    """What a person sees of a row: a text, cut, or a PNG of a small image."""
    if isinstance(row, bytes):
        return small(row)
    text: str = encoder.words(row.ids) if isinstance(row, Block) else whole_text(row)
    return text if len(text) <= LONGEST else text[:LONGEST] + "…"


def small(image: bytes) -> bytes:
    """A PNG of at most SIDE pixels a side, with nothing else that the file holds."""
    picture = decode(image).convert("RGB")
    picture.thumbnail((SIDE, SIDE))
    picture.info.clear()
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()
