"""Students at a threshold by macro F1 and by NDCG: samples from populations whose own values are the thresholds."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from distillery_gate import F1Items, Items, RankingItems
from distillery_gate.ranking import ndcg
from gate_cells import LEVEL
from numpy.typing import NDArray

POPULATION = 100_000  # items, or queries
LABELS = {
    "2 labels": (0.5, 0.5),
    "1 of 10 rare": (0.9, 0.1),
    "3 labels": (0.6, 0.35, 0.05),
    "20 labels": tuple(1 / rank / sum(1 / each for each in range(1, 21)) for rank in range(1, 21)),
}
RIGHT = (0.6, 0.8, 0.95)  # share of items that the teacher knows
APART = (0.05, 0.3, 1.5)  # standard deviation of the student's scores around its teacher's; gold scores are 0 to 2
SIZES = (50, 200, 1000)
CLUSTERED = (1, 5)  # items in each cluster
RAREST = 5  # clusters that the rarest label is expected in
RARE = (1, 2, 4, 8)  # items, or clusters, that the rarest label is expected in where it is rarer than that
Columns = dict[str, NDArray[np.int64]]


@dataclass(frozen=True, eq=False)
class MetricCell:
    """Samples of n items, in whole clusters of equal size, of a population in clusters of that size."""

    metric: str
    name: str
    columns: dict[str, NDArray[np.float64] | NDArray[np.int64]]
    n: int
    clustered: int

    def __str__(self) -> str:
        return f"{self.metric}, {self.name}, {self.n} items in clusters of {self.clustered}"

    def items(self, rows: NDArray[np.int64] | None = None) -> Items:
        """Items of these rows, or of the whole population."""
        chosen = {name: each if rows is None else each[rows] for name, each in self.columns.items()}
        n = len(chosen["student"])
        clusters = np.arange(n) // self.clustered
        if self.metric == "NDCG@10":
            return RankingItems(ids=range(n), clusters=clusters, **chosen)  # type: ignore[arg-type]
        gold, answers = chosen["gold"], {name: chosen[name] for name in ("teacher", "student")}
        right = {name: each == gold for name, each in answers.items()}
        return F1Items(ids=range(n), gold=gold, answers=answers, clusters=clusters, **right)  # type: ignore[arg-type]

    def samples(self, random: np.random.Generator, simulations: int) -> Iterator[Items]:
        """Clusters drawn from the population, each as often as it comes."""
        for _ in range(simulations):
            first = random.integers(POPULATION // self.clustered, size=self.n // self.clustered) * self.clustered
            yield self.items((first[:, None] + np.arange(self.clustered)).ravel())

    def promoted(self, random: np.random.Generator, simulations: int) -> Counter[str]:
        """Samples that pass, by question: the population is exactly at the threshold of each."""
        whole, found = self.items(), Counter[str]()
        pair, (least, _) = whole.pair(whole.teacher), whole.measure(whole.student, LEVEL)
        ratio, difference = pair.ratio(), pair.difference()
        for items in self.samples(random, simulations):
            sampled = items.pair(items.teacher)
            found["ratio"] += sampled.ratio_interval(LEVEL).low > ratio
            found["difference"] += sampled.difference_interval(LEVEL).low > difference
            found["floor"] += items.measure(items.student, LEVEL)[1].low > least
        return found


def rates(random: np.random.Generator, simulations: int) -> dict[str, int]:
    """Simulated evaluations that pass, by cell and question."""
    found = {cell: cell.promoted(random, simulations) for cell in metric_cells()}
    return {f"{cell}, {question}": passed for cell, each in found.items() for question, passed in each.items()}


def metric_cells() -> Iterator[MetricCell]:
    """The grid; a label that hardly occurs in a sample is not in it."""
    random = np.random.default_rng(20261127)
    for (name, shares), right, clustered in product(LABELS.items(), RIGHT, CLUSTERED):
        columns = labelled(random, np.array(shares), right, clustered)
        for n in SIZES:
            if n / clustered * min(shares) >= RAREST:
                yield MetricCell("macro F1", f"{name}, {right} right", columns, n, clustered)
    for apart, clustered in product(APART, CLUSTERED):
        scores = scored(random, apart, clustered)
        for n in SIZES:
            yield MetricCell("NDCG@10", f"scores {apart} apart", scores, n, clustered)


def rare_label(random: np.random.Generator, simulations: int) -> dict[str, dict[str, float]]:
    """Samples of a student at the threshold of macro F1 that pass, where a label is too rare for the grid."""
    found = {}
    for count in RARE:
        for name, cell in ((f"{count} of 400 items", among_items(random, count)),
                           (f"{count} of 60 clusters", among_clusters(random, count))):  # fmt: skip
            passed = cell.promoted(random, simulations)
            found[name] = {"retention": passed["ratio"] / simulations, "minF1": passed["floor"] / simulations}
    return found


def among_items(random: np.random.Generator, count: int) -> MetricCell:
    """Ten labels, of which one has so many of 400 items in the mean."""
    rare = count / 400
    gold = random.choice(10, size=POPULATION, p=[*[(1 - rare) / 9] * 9, rare])
    teacher, other = (
        np.where(random.random(POPULATION) < right, gold, random.integers(10, size=POPULATION))
        for right in (0.95, 0.85)
    )
    student = np.where(random.random(POPULATION) < 0.8, teacher, other)
    return MetricCell("macro F1", "a rare label", {"gold": gold, "teacher": teacher, "student": student}, 400, 1)


def among_clusters(random: np.random.Generator, count: int) -> MetricCell:
    """Three labels in whole clusters of 10 items, of which one has so many of 60 clusters in the mean."""
    clusters, rare = POPULATION // 10, count / 60
    gold = np.repeat(random.choice(3, size=clusters, p=[0.6 - rare / 2, 0.4 - rare / 2, rare]), 10)
    known = np.repeat(random.beta(2.4, 0.6, size=clusters), 10)
    teacher, other = (
        np.where(random.random(POPULATION) < right, gold, random.integers(3, size=POPULATION))
        for right in (known, 0.9 * known)
    )
    student = np.where(random.random(POPULATION) < 0.7, teacher, other)
    return MetricCell("macro F1", "a rare label", {"gold": gold, "teacher": teacher, "student": student}, 600, 10)


def labelled(random: np.random.Generator, shares: NDArray[np.float64], right: float, clustered: int) -> Columns:
    """Gold labels and answers; clusters have labels of their own and differ in how hard they are."""
    gold, own = (random.choice(len(shares), size=size, p=shares) for size in (POPULATION, POPULATION // clustered))
    gold = np.where(random.random(POPULATION) < 0.3, np.repeat(own, clustered), gold)
    known = np.repeat(random.beta(right, 1 - right, size=POPULATION // clustered), clustered)
    known = known if clustered > 1 else np.full(POPULATION, right)

    def answers(known: NDArray[np.float64]) -> NDArray[np.int64]:
        return np.where(random.random(POPULATION) < known, gold, random.choice(len(shares), size=POPULATION, p=shares))

    teacher, other = answers(known), answers(0.9 * known)
    return {"gold": gold, "teacher": teacher, "student": np.where(random.random(POPULATION) < 0.8, teacher, other)}


def scored(random: np.random.Generator, apart: float, clustered: int) -> dict[str, NDArray[np.float64]]:
    """NDCG of ten texts a query, by a teacher and a student; clusters differ in how hard they are."""
    queries = np.repeat(np.arange(POPULATION), 10)
    gold = random.choice(3, size=len(queries), p=(0.7, 0.2, 0.1)).astype(np.float64)
    gold[::10], gold[1::10] = 1, 0  # something to rank in every query
    hard = np.repeat(random.gamma(4, 0.25, size=POPULATION // clustered), 10 * clustered)
    teacher = gold + 0.5 * hard * random.normal(size=len(queries))
    student = teacher + apart * hard * random.normal(size=len(queries))
    models = {"teacher": teacher, "student": student, "unranked": np.zeros(len(queries))}
    return {name: ndcg(queries, gold, scores) for name, scores in models.items()}
