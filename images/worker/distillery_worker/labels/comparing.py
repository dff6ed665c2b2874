"""Whether two labellings of the same rows agree, but for what the last digits of floating point change."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .codecs import Codec
from .segments import Numbers, RowLabels

Floats = NDArray[np.float64]
Measure = Callable[[RowLabels, RowLabels], float]  # how far a row's stored and live labels lie apart
SMALLEST_SCALE = 0.01  # of numbers: where all are nearly 0, so are differences that mean nothing
FEW_DRAWS = 2  # others in a row, which say nothing: in a short row they are a large share


@dataclass(frozen=True)
class Allowed:
    """What passes as the same labels: a distance of each row, and a share of rows that are further apart."""

    distance: float
    rows: float
    words: str  # take the largest distance


ALLOWED = {
    "logits": Allowed(0.01, 0, "by up to {:.2g} of their root mean square, of which 0.01 is allowed"),
    "hidden": Allowed(0.01, 0, "by up to {:.2g} of their root mean square, of which 0.01 is allowed"),
    "topK": Allowed(0.01, 0, "with up to {:.2g} of a token's probability on other ids, of which 0.01 is allowed"),
    "sampled": Allowed(0.1, 0, "with up to {:.2g} of a row's draws on other ids, of which 0.1 is allowed"),
    "text": Allowed(0, 0.5, "with another text, as half of them may"),
}


@dataclass(frozen=True)
class Comparison:
    """How far rows lie apart in the measure of their codec: float64 [rows], infinite where they do not compare."""

    distances: Floats
    allowed: Allowed

    @property
    def differing(self) -> int:
        """Rows that lie further apart than is allowed."""
        return int((self.distances > self.allowed.distance).sum())

    @property
    def agrees(self) -> bool:
        """Whether no more rows differ than may."""
        return self.differing <= self.allowed.rows * len(self.distances)

    @property
    def words(self) -> str:
        """The largest distance beside what is allowed."""
        return self.allowed.words.format(self.distances.max())


def compare(codec: Codec, stored: Sequence[RowLabels], live: Sequence[RowLabels]) -> Comparison:
    """Compare two labellings of the same rows, at least one."""
    measure = measure_of(codec, stored)
    found = [measure(*pair) if alike(*pair) else np.inf for pair in zip(stored, live, strict=True)]
    return Comparison(np.nan_to_num(np.array(found), nan=np.inf), ALLOWED[codec.kind])


def alike(one: RowLabels, other: RowLabels) -> bool:
    """Whether both have as many positions."""
    return all(one[column].shape == other[column].shape for column in one)


def measure_of(codec: Codec, stored: Sequence[RowLabels]) -> Measure:
    """How labels of the codec are compared."""
    match codec.kind:
        case "logits" | "hidden":
            return numbers_apart(codec.kind, stored)
        case "topK":
            return probability_apart
        case "sampled":
            return draws_apart
        case "text":
            return words_apart
        case "grades":
            raise AssertionError("a judge is an endpoint, which is never asked again")


def numbers_apart(column: str, stored: Sequence[RowLabels]) -> Measure:
    """The root mean square of the worst position's differences, in units of that of all that is stored."""
    squares = [np.square(doubles(row[column])).mean() for row in stored]
    scale = max(SMALLEST_SCALE, float(np.sqrt(np.mean(squares))))

    def apart(one: RowLabels, other: RowLabels) -> float:
        difference = doubles(one[column]) - doubles(other[column])
        return float(np.sqrt(np.square(difference).mean(axis=1).max())) / scale

    return apart


def probability_apart(one: RowLabels, other: RowLabels) -> float:
    """The total variation at the worst position, as small as what is kept allows."""
    _, ours = kept_by(other, one)
    common, theirs = kept_by(one, other)
    tails = np.abs(np.exp(doubles(one["log_tail"])) - np.exp(doubles(other["log_tail"])))
    apart = np.concatenate([ours, np.where(common, 0, theirs), tails], axis=1)
    return float(apart.sum(axis=1).max()) / 2


def kept_by(other: RowLabels, row: RowLabels) -> tuple[NDArray[np.bool_], Floats]:
    """Which of a row's ids the other kept, and how far their probabilities lie apart at least: both [positions, k].

    An id that was not kept is at most as likely as the least that were: equally likely ids may take turns.
    """
    place_of = np.arange(len(row["ids"]), dtype=np.int64)[:, None] << 32  # ascends, as the ids at each position do
    wanted, there = place_of | row["ids"].astype(np.int64), (place_of | other["ids"].astype(np.int64)).ravel()
    nearest = np.minimum(np.searchsorted(there, wanted), there.size - 1)
    p, q = np.exp(doubles(row["log_probs"])), np.exp(doubles(other["log_probs"]))
    kept = there[nearest] == wanted
    return kept, np.abs(p - np.where(kept, q.ravel()[nearest], np.minimum(p, q.min(axis=1, keepdims=True))))


def draws_apart(one: RowLabels, other: RowLabels) -> float:
    """The share of a row's draws that fell on other ids, but for a few."""
    apart = one["draws"] != other["draws"]
    return float(apart.mean()) if apart.sum() > FEW_DRAWS else 0.0


def words_apart(one: RowLabels, other: RowLabels) -> float:
    """1 where the answers are different texts, or one is unfinished; else 0."""
    return float(any((one[column] != other[column]).any() for column in ("answer", "finished")))


def doubles(numbers: Numbers) -> Floats:
    """The numbers in float64."""
    return numbers.astype(np.float64)
