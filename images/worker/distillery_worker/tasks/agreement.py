"""How a teacher's answers agree with gold labels, and a student's first answers with the teacher's."""

from collections.abc import Mapping, Sequence
from math import log
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputRefused

FEWEST = 20  # rows that show whether a teacher does better than chance
FEWEST_OF_LABEL = 5  # rows that show which label a teacher takes another one for
WORST_GAP = 10.0  # nats


def check_agreement(gold: NDArray[Any], answers: NDArray[np.int64], labels: Sequence[str], file: str) -> None:
    """Refuse answers that exchange labels, or agree with gold no more often than independent ones would.

    gold, answers: label ids [rows]. Chance is that of Cohen's kappa. Rows of the most frequent label count for nothing
    by themselves, so FEWEST others are needed to be judged. file: of the dataset, as messages name it. Raises
    InputRefused (TeacherUnfit).
    """
    if cycle := exchanged_labels(names_given(gold, answers, len(labels))):
        raise InputRefused("TeacherUnfit", exchanged_words([labels[label] for label in cycle], file))
    of_gold, of_answer = (np.bincount(ids, minlength=len(labels)) for ids in (gold, answers))
    rows, right = len(gold), int((gold == answers).sum())
    chance = float(of_gold @ of_answer) / max(1, rows)
    if rows - of_gold.max() >= FEWEST and right <= chance:
        raise InputRefused(
            "TeacherUnfit",
            f"teachers: the answers to {rows} rows of dataset.{file} agree with {right} gold labels, no more than"
            f" chance ({chance:.1f}); check that label names of teacher and rows mean the same, or use another teacher",
        )


def names_given(gold: NDArray[Any], answers: NDArray[np.int64], outputs: int) -> dict[int, int]:
    """By gold label the answer to more than half of its rows, where it has FEWEST_OF_LABEL of them."""
    pairs, counts = np.unique(gold * outputs + answers, return_counts=True)
    labels, given = np.divmod(pairs, outputs)
    rows = np.bincount(gold, minlength=outputs)[labels]
    sure = (2 * counts > rows) & (rows >= FEWEST_OF_LABEL)
    return dict(zip(labels[sure].tolist(), given[sure].tolist(), strict=True))


def exchanged_labels(given: Mapping[int, int]) -> list[int]:
    """Labels of which each is given the next one's name, and the last the first's; empty where no labels are."""
    for first in given:
        cycle, label = [first], given[first]
        while label in given and label not in cycle:
            cycle.append(label)
            label = given[label]
        if label == first and len(cycle) > 1:
            return cycle
    return []


def exchanged_words(names: Sequence[str], file: str, most: int = 5) -> str:
    """A message that names the first labels of a cycle."""
    pairs = list(zip(names, [*names[1:], names[0]], strict=True))
    shown = ", ".join(f"'{gold}' as '{answer}'" for gold, answer in pairs[:most])
    more = f" and {len(pairs) - most} more" if len(pairs) > most else ""
    return (
        f"teachers: label names are exchanged: most rows of dataset.{file} are answered {shown}{more}; correct"
        " id2label in the teacher's config.json, endpoint.labels, or the labels of the rows"
    )


def check_guess(divergence: float, outputs: int) -> None:
    """Refuse a student that is much further from the teacher than guessing: WORST_GAP nats more than log(outputs).

    A student from scratch begins near the uniform distribution, which is at most log(outputs) from any teacher; more
    takes a model that is sure of wrong answers. Raises InputRefused (StudentUnfit).
    """
    if not divergence <= log(outputs) + WORST_GAP:  # NaN too
        raise InputRefused(
            "StudentUnfit",
            f"student: begins {divergence:.2f} nats from the teacher's answers, where guessing is at most"
            f" {log(outputs):.2f} from any; check that student.model has sound weights and was made for these inputs"
            " and labels, or begin from student.config",
        )
