"""Several teachers as one: a weighted mean of probabilities, routed by slice, and how far they disagree.

Weights stand in an array [teachers, rows]: routing a row away from a teacher, or a row that a teacher gave no usable
answer for, is a weight of zero there. The weights of a row count in proportion; they need not add up to one.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax, logsumexp, xlogy

from ..errors import InputRefused

Floats = NDArray[np.float64]


def common_labels(labels: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """The label names in the first teacher's order, given each teacher's by its name.

    Raises InputRefused (LabelsDiffer) where a teacher knows others; their order may differ.
    """
    (first, wanted), *others = labels.items()
    for name, names in others:
        lacking, extra = sorted(set(wanted) - set(names)), sorted(set(names) - set(wanted))
        if lacking or extra:
            found = f"lacks '{lacking[0]}'" if lacking else f"knows '{extra[0]}' too"
            raise InputRefused(
                "LabelsDiffer",
                f"teachers: '{name}' {found}, other than '{first}'; an ensemble needs the same label names in all its"
                " teachers: correct id2label in config.json, or endpoint.labels",
            )
    return tuple(wanted)


def align(logits: NDArray[np.float32], labels: Sequence[str], wanted: Sequence[str]) -> NDArray[np.float32]:
    """Logits [rows, labels] with their columns in the order of `wanted`, a permutation of `labels`."""
    place = {label: column for column, label in enumerate(labels)}
    return logits[:, [place[label] for label in wanted]]


def route(weights: Sequence[float], slices: Sequence[Sequence[str]], rows: Sequence[str]) -> Floats:
    """Weights [teachers, rows] from each teacher's weight and slices, and each row's slice.

    A row goes to the teachers that list its slice; one that nobody lists goes to the teachers without slices.
    Raises InputRefused (SliceWithoutTeacher) for a row that goes to none of a weight above zero.
    """
    listed = {value for values in slices for value in values}
    values, number = np.unique(np.array(rows, dtype=object).astype(str), return_inverse=True)
    table = np.zeros((len(weights), len(values)))
    for column, value in enumerate(values):
        for teacher, own in enumerate(slices):
            table[teacher, column] = weights[teacher] if (value in own if value in listed else not own) else 0.0
    unanswered = np.flatnonzero(table.sum(axis=0) == 0)
    if unanswered.size:
        raise InputRefused(
            "SliceWithoutTeacher",
            f"teachers: rows of slice '{values[unanswered[0]]}' go to no teacher of a weight above zero;"
            " add the value to a teacher's slices, or a teacher without slices",
        )
    return table[:, number]


def answered(logits: NDArray[np.float32], weights: Floats) -> Floats:
    """The weights [teachers, rows], zero where a teacher's logits [teachers, rows, labels] are NaN."""
    return np.where(np.isnan(logits).any(axis=2), 0.0, weights)


def mean_log_probabilities(logits: NDArray[np.float32], weights: Floats) -> NDArray[np.float32]:
    """log of the weighted mean of softmax(logits), [rows, labels], from logits [teachers, rows, labels].

    Softmax gives the mean back: log(sum_t w_t p_t) is a logit vector of the mixture. A row that no teacher answered
    is NaN. A temperature T then softens the mixture, p^(1/T) / Z; it is not the mean of the softened teachers.
    """
    own = answered(logits, weights)
    total = own.sum(axis=0)
    share = np.divide(own, total, out=np.zeros_like(own), where=total > 0)
    log_p = log_softmax(np.nan_to_num(logits.astype(np.float64)), axis=2)
    mixed: Floats = logsumexp(log_p, axis=0, b=share[:, :, None])
    mixed[total == 0] = np.nan
    return mixed.astype(np.float32)


def disagreement(logits: NDArray[np.float32], weights: Floats) -> Floats:
    """How far the teachers of a row disagree, [rows], from 0 (same answer) to 1 (each certain of another label).

    The generalised Jensen-Shannon divergence H(sum_t w_t p_t) - sum_t w_t H(p_t) of Lin (1991), divided by its upper
    bound H(w). A row with one teacher is 0, one with none NaN.
    """
    own = answered(logits, weights)
    total = own.sum(axis=0)
    share = np.divide(own, total, out=np.zeros_like(own), where=total > 0)
    p = np.exp(log_softmax(np.nan_to_num(logits.astype(np.float64)), axis=2))
    spread = entropy((share[:, :, None] * p).sum(axis=0)) - (share * entropy(p)).sum(axis=0)
    bound = entropy(share.T)
    # Rounding leaves a little below 0 for teachers that agree.
    values = np.clip(np.divide(spread, bound, out=np.zeros_like(spread), where=bound > 0), 0.0, 1.0)
    return np.where(total > 0, values, np.nan)


def entropy(p: Floats) -> Floats:
    """Shannon entropy in nats over the last axis."""
    result: Floats = -xlogy(p, p).sum(axis=-1)
    return result
