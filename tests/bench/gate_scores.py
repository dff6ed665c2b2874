"""Students at a threshold by mean scores, which are simulated, and by win rates, whose errors are counted out."""

from collections.abc import Iterator
from itertools import product

import numpy as np
from distillery_gate.scores import ScoresPair
from distillery_gate.wins import WinsPair
from gate_cells import LEVEL
from numpy.typing import NDArray
from scipy.stats import multinomial

SIZES = (10, 30, 100, 200, 500)
KEPT = (0.8, 0.9, 0.95)
KINDS = ("all right or all wrong", "some fall to 0", "half are scored anew", "spread out")
WINS = (10, 20, 40, 80, 150)  # judged items
RATES = (0.3, 0.45, 0.487, 0.5, 0.6)
TIES = (0.0, 0.05, 0.2, 0.5, 0.8)
WINS_LEVEL = LEVEL / 2  # of a first look
Scores = NDArray[np.float64]


def rates(random: np.random.Generator, simulations: int) -> Iterator[tuple[str, int]]:
    """Simulated evaluations that pass, by cell."""
    for kind, n, kept in product(KINDS, SIZES, KEPT):
        pairs = (ScoresPair(*scores(random, kind, n, kept)) for _ in range(simulations))
        passed = sum(pair.reference.any() and pair.ratio_interval(LEVEL).low > kept for pair in pairs)
        yield f"mean scores, {kind}, {n} items, {kept} kept", int(passed)


def scores(random: np.random.Generator, kind: str, n: int, kept: float) -> tuple[Scores, Scores]:
    """Of a student that keeps that share of its teacher's mean, and of the teacher. [n]"""

    def often_whole() -> Scores:
        return np.where(random.random(n) < 0.6, 1.0, random.beta(2, 2, n))

    stays, half = random.random(n) < kept, random.random(n) < 0.5
    if kind == "all right or all wrong":
        teacher = (random.random(n) < 0.97) * 1.0
        return teacher * stays, teacher
    if kind == "some fall to 0":
        teacher = often_whole()
        return teacher * stays, teacher
    if kind == "half are scored anew":
        teacher = often_whole()
        return np.where(half, teacher, often_whole()) * stays, teacher
    teacher = random.beta(2, 5, n)
    return kept * np.where(half, teacher, random.beta(2, 5, n)), teacher


def win_rates() -> dict[str, float]:
    """How often a student at the threshold of a win rate passes at WINS_LEVEL in the worst case, without simulation."""
    worst = {"loses": 0.0, "never loses": 0.0}
    for n in WINS:
        pairs = [(wins, losses) for wins in range(n + 1) for losses in range(n + 1 - wins)]
        counts = np.array([(wins, losses, n - wins - losses) for wins, losses in pairs])
        judged = (WinsPair(np.repeat([1.0, 0.0, 0.5], each), None) for each in counts)
        lows = np.array([pair.rate_interval(WINS_LEVEL).low for pair in judged])
        for rate, ties in product(RATES, TIES):
            wins, losses = rate - ties / 2, 1 - rate - ties / 2
            if min(wins, losses) >= -1e-12:
                kinds = [max(wins, 0.0), max(losses, 0.0), ties]
                passed = float(multinomial.pmf(counts, n, kinds)[lows > rate].sum())
                case = "loses" if losses > 1e-12 else "never loses"
                worst[case] = max(worst[case], passed)
    return {case: round(passed, 4) for case, passed in worst.items()}
