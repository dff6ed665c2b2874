"""Rows that a report shows, as a table of the page has them."""

import base64
from collections.abc import Iterator
from typing import Any, NamedTuple

from ..recorded_report import Recorded, read_examples

MODELS = ("teacher", "student", "incumbent", "control")
KINDS = {
    "negativeFlip": "negative flip", "copiedError": "copied error", "confidentMistake": "confident mistake",
    "worseThanBefore": "worse than before", "largestError": "largest error", "worstSlice": "worst slice",
}  # fmt: skip


class Example(NamedTuple):
    """A row: why it is shown, what it says, the right answer if it has one, and the models' answers in order."""

    why: str
    text: str | None
    image: str | None  # a PNG as a data URI, so that the page asks nobody for it
    gold: Any
    answers: list[Any]


def examples(recorded: Recorded) -> list[Example]:
    """The rows of the report's examples. Raises StorageError or Refused."""
    return list(shown(recorded))


def answering(recorded: Recorded) -> list[str]:
    """The models whose answers the rows have."""
    return [name for name in MODELS if name in recorded.columns]


def shown(recorded: Recorded) -> Iterator[Example]:
    """Each row with what the items say of it."""
    columns = recorded.columns
    for row in read_examples(recorded):
        place = columns["item"].index(row["item"])
        gold = columns["gold"][place] if "gold" in columns else None
        image = "data:image/png;base64," + base64.b64encode(row["image"]).decode() if row["image"] else None
        answers = [columns[name][place] for name in answering(recorded)]
        yield Example(", ".join(KINDS.get(kind, kind) for kind in row["kinds"]), row["text"], image, gold, answers)
