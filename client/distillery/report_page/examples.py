"""Rows that a report shows, as a table of the page has them."""

import base64
from collections.abc import Iterator
from typing import Any, NamedTuple

from ..recorded_report import Recorded, read_examples

MODELS = ("teacher", "student", "incumbent", "control")
KINDS = {
    "negativeFlip": "negative flip", "copiedError": "copied error", "confidentMistake": "confident mistake",
    "worseThanBefore": "worse than before", "largestError": "largest error", "leastLikely": "least likely",
    "worstSlice": "worst slice",
}  # fmt: skip


class Example(NamedTuple):
    """A row: why it is shown, its content, and by heading the gold answer, the models' and the student's confidence."""

    why: str
    text: str | None
    image: str | None  # a PNG as a data URI, so that the page asks nobody for it
    said: dict[str, Any]


def examples(recorded: Recorded) -> Iterator[Example]:
    """The rows of the report's examples, if it has any. Raises StorageError or Refused."""
    for row in read_examples(recorded):
        image = "data:image/png;base64," + base64.b64encode(row["image"]).decode() if row["image"] else None
        why = ", ".join(KINDS.get(kind, kind) for kind in row["kinds"])
        yield Example(why, row["text"], image, said(recorded, recorded.columns["item"].index(row["item"])))


def said(recorded: Recorded, place: int) -> dict[str, Any]:
    """What the items tell of one of them."""
    headings = {name: name.capitalize() for name in ("gold", *MODELS)} | {"student_confidence": "Student's confidence"}
    columns = recorded.columns
    return {heading: columns[name][place] for name, heading in headings.items() if name in columns}
