"""What an evaluation records of each item: all that its verdict can be taken from."""

from collections.abc import Mapping, Sequence
from typing import Any

from ..data.files import Rows
from ..tasks.head import Answer, Head


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
    return {**columns, **head.truths(test), **answers}
