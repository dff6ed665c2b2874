"""What a verdict may err, when others were taken on its test set before.

A test set that is asked often enough passes any student. So `Gate.level` is what all verdicts on one test set err
together: the k-th of them spends level / (k (k + 1)), and these sum to the level, however many there are (Bonferroni).

A verdict that is taken in stages, on more and more of the items until one decides, has spent the squared share of the
items seen of its part (Kim & DeMets 1987, Biometrika 74, 149-154, with rho = 2), so that the stages need not be planned
(Lan & DeMets 1983, Biometrika 70, 659-663). Each stage's interval is one of the repeated confidence
intervals of Jennison & Turnbull 1989, J. R. Stat. Soc. B 51, 305-361.
"""

from collections.abc import Sequence
from typing import Annotated, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator
from scipy.optimize import brentq
from scipy.stats import norm

from .policy import Policy

Numbers = NDArray[np.float64]

POWER = 2  # rho
FARTHEST = 9.0  # standard deviations within which everything is thought to lie
DIGITS = 9  # of a stage's level: the same on every processor
NODES = 400  # of the quadrature over what has not crossed a bound; errors of levels are below 1e-9


class Look(Policy):
    """Which verdict on its test set this is, and what part of the items it has seen.

    shares: of the test set's items, at each stage up to this one, growing to at most 1.
    """

    number: Annotated[int, Field(ge=1)] = 1
    shares: Annotated[tuple[float, ...], Field(min_length=1, max_length=32, strict=False)] = (1.0,)

    @field_validator("shares")
    @classmethod
    def growing(cls, shares: tuple[float, ...]) -> tuple[float, ...]:
        """Raises ValueError where a stage has not seen more than the one before."""
        if any(share <= before for before, share in zip((0.0, *shares), shares, strict=False)) or shares[-1] > 1:
            raise ValueError("each share must be larger than the one before, and none larger than 1")
        return shares

    def level(self, level: float) -> float:
        """The one-sided error of this stage's criteria, of a gate that errs at `level` in all."""
        spent = self.spent(level)
        return spent if self.shares == (1.0,) else float(f"{stage_levels(spent, self.shares)[-1]:.{DIGITS}g}")

    def spent(self, level: float) -> float:
        """That of all stages together."""
        return level / (self.number * (self.number + 1))


FIRST = Look()


def stage_levels(level: float, shares: Sequence[float]) -> list[float]:
    """The one-sided level of each stage's own test, such that a true null hypothesis is rejected at any with `level`.

    The statistics of stages are those of a Brownian motion at `shares` (Armitage, McPherson & Rowe 1969, J. R. Stat.
    Soc. A 132, 235-244): what has crossed no bound so far is followed from stage to stage by Gauss-Legendre quadrature.
    """
    levels, points, masses, seen = list[float](), np.zeros(1), np.ones(1), 0.0
    for share in shares:
        step, spread, spent = (share - seen) ** 0.5, share**0.5, level * (share**POWER - seen**POWER)
        z = crossed_by(spent, points / spread, masses, step / spread)
        levels.append(float(norm.sf(z)))
        following = nodes_below(z * spread, spread)
        density = norm.pdf((following.points[:, None] - points) / step) @ masses / step
        points, masses, seen = following.points, following.weights * density, share
    return levels


def crossed_by(mass: float, points: Numbers, masses: Numbers, step: float) -> float:
    """The bound above which that mass comes to lie, when each point moves by a normal step."""
    return float(brentq(lambda z: masses @ norm.sf((z - points) / step) - mass, 0.0, FARTHEST, xtol=1e-12))


class Nodes(NamedTuple):
    """Of a quadrature."""

    points: Numbers
    weights: Numbers


def nodes_below(bound: float, spread: float) -> Nodes:
    """Those of what lies below the bound."""
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    lowest = -FARTHEST * spread
    return Nodes(lowest + (nodes + 1) * (bound - lowest) / 2, weights * (bound - lowest) / 2)
