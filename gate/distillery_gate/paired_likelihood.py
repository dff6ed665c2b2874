"""Likelihood of the same texts under two models: perplexities, their ratio, and the difference in nats per token.

With NLL totals d_i = reference - new and n_i tokens of text i, R = sum(d) / sum(n) is what the new model gains per
token and exp(R) the reference's perplexity over the new model's. R is a ratio estimator over texts (Cochran 1977,
Sampling Techniques, section 2.11). Its standard error is the delete-one jackknife's, and Student's t has the degrees of
freedom of Kish's effective number of texts, sum(n)^2 / sum(n^2): linearised, few unequal texts would pass too often.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import exp, log
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .checks import check_all, checked_numbers, first_index, read_only
from .clusters import Totals
from .errors import GateInputError
from .intervals import Interval
from .items import Items
from .paired_means import LARGEST_RATIO, items_needed
from .pairs import Pair
from .sums import jackknife, mean_of_units, mean_of_units_interval


def exponential(interval: Interval) -> Interval:
    """The interval for exp of a value, within 0 and LARGEST_RATIO."""
    return Interval(*(exp(min(bound, log(LARGEST_RATIO))) for bound in interval))


class LikelihoodPair(Pair):
    """By NLL totals of the same texts: the reference's perplexity over the new model's, and nats per token."""

    def __init__(self, new: Totals, reference: Totals, tokens: Totals) -> None:
        self.gains, self.tokens, self.n = reference - new, tokens, len(new)
        self.never_worse = bool((new <= reference).all())

    def ratio(self) -> float:
        """Perplexity of the reference as a share of the new model's."""
        return exp(min(self.difference(), log(LARGEST_RATIO)))

    def ratio_interval(self, level: float) -> Interval:
        """By the interval of its logarithm."""
        return exponential(self.difference_interval(level))

    def ratio_items_needed(self, ratio: float, level: float) -> int | None:
        """By its logarithm."""
        return self.difference_items_needed(log(ratio), level)

    def difference(self) -> float:
        """Log-likelihood of a token under the new model minus the reference's, in nats."""
        return mean_of_units(self.gains, self.tokens)

    def difference_interval(self, level: float) -> Interval:
        """By the jackknife over texts."""
        return mean_of_units_interval(self.gains, self.tokens, level)

    def difference_items_needed(self, difference: float, level: float) -> int | None:
        """By the same spread, with texts like these."""
        return items_needed(jackknife(self.gains, self.tokens) - difference, level)


@dataclass(frozen=True, eq=False)
class LikelihoodItems(Items):
    """How likely each model finds the same n held-out texts; texts are independent, their tokens are not.

    Args:
        ids: names of the texts, all text or all integers, each once. [n], n >= 2
        tokens: how many tokens of each text are predicted, the same ones by every model; at least 1. [n]
        teacher, student: negative log-likelihood of these tokens, summed over the text, in nats. [n]
        incumbent, control, slices, contaminated: as for EvaluationItems. [n]

    Raises:
        GateInputError: naming the field and the fix. Arrays are copied, turned to float64 and made read-only.
    """

    metric: ClassVar[str] = "perplexity"
    ids: Sequence[str] | Sequence[int]
    tokens: Totals
    teacher: Totals
    student: Totals
    incumbent: Totals | None = None
    control: Totals | None = None
    slices: Any = None
    contaminated: Any = None
    clusters: None = field(default=None, init=False)  # texts are independent

    def __post_init__(self) -> None:
        check_all(self, checked_totals)
        if self.n < 2:
            raise GateInputError("ids: one text says nothing about the spread between texts; evaluate at least two")
        object.__setattr__(self, "tokens", checked_tokens(self.tokens, n=self.n))

    def pair(self, reference: NDArray[Any]) -> Pair:
        """By paired totals."""
        return LikelihoodPair(self.student, reference, self.tokens)

    def measure(self, results: NDArray[Any], level: float) -> tuple[float, Interval]:
        """Perplexity and its interval."""
        value = exp(min(mean_of_units(results, self.tokens), log(LARGEST_RATIO)))
        return value, exponential(mean_of_units_interval(results, self.tokens, level))

    def items_needed(self, threshold: float, level: float) -> int | None:
        """By its logarithm, the mean of a token, with texts like these."""
        return items_needed(log(threshold) - jackknife(self.student, self.tokens), level)

    def kept(self, ratio: str) -> str:
        """As a share of the student's perplexity."""
        return f"The teacher's perplexity is {ratio} of the student's"

    def gain(self, other: str) -> str:
        """In nats per token."""
        return f"The student's log-likelihood of a token minus the {other}'s, in nats,"


def checked_totals(field: str, given: ArrayLike | None, *, n: int) -> Totals:
    """The NLL totals as a read-only float64 array of length n, or GateInputError."""
    results = checked_numbers(field, given, n=n, wanted="the summed negative log-likelihood")
    strange = ~np.isfinite(results) | (results < 0)
    if strange.any():
        index = first_index(strange)
        raise GateInputError(f"{field}: text {index} is {results[index]}; give a finite sum of -log p, not negative")
    return read_only(results.astype(np.float64))


def checked_tokens(given: ArrayLike | None, *, n: int) -> Totals:
    """The token counts as a read-only float64 array of length n, or GateInputError."""
    counts = checked_numbers("tokens", given, n=n, wanted="the number of predicted tokens")
    strange = ~np.isfinite(counts) | (counts < 1) | (counts != np.round(counts))
    if strange.any():
        index = first_index(strange)
        raise GateInputError(f"tokens: text {index} has {counts[index]}; leave out texts without predicted tokens")
    return read_only(counts.astype(np.float64))
