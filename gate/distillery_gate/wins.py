"""Win rate by a judge: of each item it says whose answer is better, the student's or the reference's, or that they tie.

The win rate w is the share of wins plus half that of ties. 2 w - 1 is the difference of two paired proportions, wins
and losses, so its interval is Tango's (1998, Statistics in Medicine 17, 891-908), which Fagerland, Lydersen & Laake
(2014, Statistics in Medicine 33, 2850-2875) recommend. Independent items without any tie are shares, and exact.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from .checks import check_all, checked_numbers, first_index, read_only
from .errors import GateInputError
from .intervals import Interval
from .items import Items
from .paired_means import LARGEST_RATIO
from .pairs import AnswersPair
from .proportion import share_interval

OUTCOMES = {"student": 1.0, "tie": 0.5, "reference": 0.0}  # what each is worth to the student


def odds(share: float) -> float:
    """share / (1 - share), at most LARGEST_RATIO."""
    return share / (1 - share) if share * (1 + 1 / LARGEST_RATIO) < 1 else LARGEST_RATIO


class WinsPair(AnswersPair):
    """By points, a half each for a tie: the student's over the reference's, and minus them."""

    def __init__(self, points: NDArray[np.float64], clusters: NDArray[np.intp] | None) -> None:
        super().__init__(points == 1, points == 0, clusters)
        self.points, self.clusters = points, clusters

    def rate(self) -> float:
        """The student's win rate."""
        return float(self.points.mean())

    def rate_interval(self, level: float) -> Interval:
        """Interval for the win rate; each end is a one-sided bound at `level`."""
        if self.clusters is None and self.counts.discordant == self.n:
            return share_interval(self.points == 1, None, level)
        return Interval(*((1 + bound) / 2 for bound in self.difference_interval(level)))

    def ratio(self) -> float:
        """Points of the student for each of the reference's; at most LARGEST_RATIO."""
        return odds(self.rate())

    def ratio_interval(self, level: float) -> Interval:
        """By the win rate, with which it grows."""
        return Interval(*(odds(bound) for bound in self.rate_interval(level)))

    def ratio_items_needed(self, ratio: float, level: float) -> int | None:
        """By the win rate."""
        return self.rate_items_needed(ratio / (1 + ratio), level)

    def rate_items_needed(self, rate: float, level: float) -> int | None:
        """Items that show more than `rate` with 80 % power at what was observed."""
        return self.difference_items_needed(2 * rate - 1, level)


@dataclass(frozen=True, eq=False)
class WinItems(Items):
    """What a judge says of the student's answers to n held-out items, each beside the reference's answer.

    The reference is the teacher, or whoever the student is judged against; it stands in the teacher's place.

    Args:
        ids: names of the items, all text or all integers, each once. [n]
        student: 1 where the student's answer is better, 0.5 for a tie, 0 where the reference's is. [n]
        clusters, slices, contaminated: as for EvaluationItems. [n]

    Raises:
        GateInputError: naming the field and the fix. Arrays are copied, turned to float64 and made read-only.
    """

    metric: ClassVar[str] = "win rate"
    ids: Sequence[str] | Sequence[int]
    student: NDArray[np.float64]
    clusters: Any = None
    slices: Any = None
    contaminated: Any = None
    teacher: NDArray[np.float64] = field(init=False)
    incumbent: None = field(default=None, init=False)
    control: None = field(default=None, init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "teacher", self.student)  # the student's until they are checked
        check_all(self, checked_points)
        object.__setattr__(self, "teacher", read_only(1 - self.student))

    def take(self, chosen: NDArray[np.intp]) -> Self:
        """The items at these places alone."""
        changes: dict[str, Any] = {"ids": [self.ids[place] for place in chosen]}
        for name in ("student", "clusters", "slices", "contaminated"):
            if (given := getattr(self, name)) is not None:
                changes[name] = given[chosen]
        return replace(self, **changes)

    def pair(self, reference: NDArray[Any]) -> WinsPair:
        """By wins, ties and losses; there is no other reference than the one it was judged against."""
        return WinsPair(self.student, self.clusters)

    def measure(self, results: NDArray[Any], level: float) -> tuple[float, Interval]:
        """Win rate and its interval."""
        pair = WinsPair(results, self.clusters)
        return pair.rate(), pair.rate_interval(level)

    def items_needed(self, threshold: float, level: float) -> int | None:
        """By Tango's statistic."""
        return WinsPair(self.student, self.clusters).rate_items_needed(threshold, level)

    def kept(self, ratio: str) -> str:
        """As points for each of the reference's."""
        return f"The student has {ratio} points for each of the reference's, half a point for a tie"

    def gain(self, other: str) -> str:
        """Of win rates."""
        return f"The student's win rate minus the {other}'s"


def checked_points(_: str, given: Any, *, n: int) -> NDArray[np.float64]:
    """The student's points as a read-only float64 array of length n, or GateInputError."""
    results = checked_numbers("student", given, n=n, wanted="1 (wins), 0.5 (ties) or 0 (loses)")
    strange = ~np.isin(results, (0, 0.5, 1))
    if strange.any():
        index = first_index(strange)
        raise GateInputError(f"student: item {index} is {results[index]}; give 1 (wins), 0.5 (ties) or 0 (loses)")
    return read_only(results.astype(np.float64))


def points_of(judged: Sequence[Any], swapped: Sequence[Any] | None) -> list[float]:
    """What each judgment is worth to the student; where a judge that saw both orders contradicts itself, a tie.

    The rule of Zheng et al. 2023, "Judging LLM-as-a-judge", section 3.4 (arXiv 2306.05685). Raises GateInputError.
    """
    first = checked_judgments("judge", judged)
    second = first if swapped is None else checked_judgments("judge_swapped", swapped)
    return [one if one == other else OUTCOMES["tie"] for one, other in zip(first, second, strict=True)]


def checked_judgments(name: str, judged: Sequence[Any]) -> list[float]:
    """Raises GateInputError at the first that is none."""
    for place, each in enumerate(judged):
        if not (isinstance(each, str) and each in OUTCOMES):
            raise GateInputError(f"{name}: item {place} has {each!r}; give one of {', '.join(OUTCOMES)}")
    return [OUTCOMES[each] for each in judged]
