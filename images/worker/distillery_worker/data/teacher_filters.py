"""Rows that are not learned from because of what the teacher says of them: dataset.filters, after labelling."""

from collections.abc import Iterator

import numpy as np
from distillery_api.filters import Filters
from numpy.typing import NDArray
from scipy.special import softmax


def keep_by_teacher(
    logits: NDArray[np.float32], gold: NDArray[np.int64], has_gold: NDArray[np.bool_], filters: Filters
) -> tuple[NDArray[np.bool_], dict[str, int]]:
    """Which rows stay (bool [rows]), and how many each filter dropped, in the order of the filters.

    logits: the teacher's, [views, rows, labels], of which the mean probability counts; gold: label ids [rows],
    which count where has_gold [rows] is true.
    """
    kept, dropped = np.ones(len(gold), dtype=bool), dict[str, int]()
    for name, keeps in teacher_filters(logits, gold, has_gold, filters):
        dropped[name] = int((kept & ~keeps).sum())
        kept &= keeps
    return kept, dropped


def teacher_filters(
    logits: NDArray[np.float32], gold: NDArray[np.int64], has_gold: NDArray[np.bool_], filters: Filters
) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Name of each wanted filter, and the rows that it keeps."""
    if filters == filters.without_teacher():
        return
    probabilities = softmax(logits, axis=2).mean(axis=0)
    if (confidence := filters.teacher_confidence) is not None:
        yield "teacherConfidence", probabilities.max(axis=1) >= confidence.min
    if filters.teacher_mistakes is not None:
        silent = np.isnan(probabilities).any(axis=1)  # no usable answer is no mistake
        yield "teacherMistakes", ~has_gold | silent | (probabilities.argmax(axis=1) == gold)
