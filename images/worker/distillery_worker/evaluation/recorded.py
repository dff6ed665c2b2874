"""What an evaluation records of each item: all that its verdict can be taken from."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..data.files import Rows
from ..tasks.head import Answer, Head

WORDS = ("cluster", "query")  # columns with the rows' own words, such as a query


def recorded(
    head: Head, test: Rows, places: Sequence[int], answers: Mapping[str, Sequence[Answer]]
) -> dict[str, Sequence[Any]]:
    """Columns of the items' file, which distillery_gate.items_of reads: what each item belongs to and is judged by.

    places: of the rows among all held-out ones. [rows]
    answers: by model, and their probabilities where they have any, by MODEL_confidence; the student's to changed rows
    by student_PERTURBATION. [rows]
    """
    columns: dict[str, Sequence[Any]] = {"item": places, "row_key": test.keys, "cluster": head.items(test)}
    columns |= {"slice": test.slices} if test.slices else {}
    columns |= {"contaminated": test.contaminated} if test.contaminated else {}
    columns |= head.truths(test)
    columns |= {name: digests(columns[name]) for name in WORDS if name in columns}
    return {**columns, **answers}


def digests(names: Iterable[Answer]) -> list[str]:
    """Names by which equal ones are known without being told: hex SHA-256 of each."""
    return [hashlib.sha256(str(name).encode()).hexdigest() for name in names]
