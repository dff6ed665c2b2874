"""NDCG@10 by query: its value, its intervals, and how often a student at the threshold passes."""

import math
from collections.abc import Callable
from math import sqrt
from typing import Any

import numpy as np
import pytest
from distillery_gate import Gate, GateInputError, RankingItems, SliceGate, decide, items_of
from distillery_gate.estimates import EstimatesPair
from distillery_gate.paired_means import ratio_interval
from distillery_gate.ranking import ndcg
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

LEVEL = 0.05  # of the first look, which spends half of the gate's
GATE = Gate(metric="ndcg", min_retention=0.9, level=2 * LEVEL)
TEXTS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3)), min_size=2, max_size=14)


def one(gold: list[float], scores: list[float]) -> float:
    [found] = ndcg(np.zeros(len(gold), dtype=np.intp), np.array(gold, dtype=float), np.array(scores, dtype=float))
    return float(found)


def drawn(queries: int, *, noise: float = 0.5, apart: float = 0.3, seed: int = 0) -> dict[str, Any]:
    """Eight texts a query with gold scores of 0 to 2; the student is `apart` from its teacher."""
    random = np.random.default_rng(seed)
    gold = random.choice(3, size=8 * queries, p=[0.6, 0.3, 0.1]).astype(float)
    gold[::8], gold[1::8] = 1, 0  # something to rank in every query
    teacher = gold + noise * random.normal(size=len(gold))
    student = teacher + apart * random.normal(size=len(gold))
    query = [f"query {row // 8:06}" for row in range(8 * queries)]
    return {"query": query, "cluster": query, "gold": gold, "teacher": teacher, "student": student}


def test_it_is_the_discounted_gain_as_a_share_of_the_best() -> None:
    gold = [3.0, 0.0, 2.0]
    best = 3 + 2 / math.log2(3)
    assert one(gold, [9.0, 1.0, 5.0]) == pytest.approx(1.0)
    assert one(gold, [1.0, 9.0, 5.0]) == pytest.approx((2 / math.log2(3) + 3 / 2) / best)


def test_texts_of_equal_score_share_their_gains_and_ranks_past_ten_count_for_nothing() -> None:
    tied = 5 / 3 * (1 + 1 / math.log2(3) + 1 / 2)
    assert one([3.0, 0.0, 2.0], [0.0, 0.0, 0.0]) == pytest.approx(tied / (3 + 2 / math.log2(3)))
    assert one([1.0] + [0.0] * 10, [-1.0] + [0.0] * 10) == 0.0
    assert one([1.0] + [0.0] * 10, [1.0] + [0.0] * 10) == 1.0


@given(st.lists(TEXTS.filter(lambda texts: len({gold for gold, _ in texts}) > 1), min_size=1, max_size=4))
def test_queries_do_not_touch_each_other_and_the_order_of_texts_does_not_count(
    queries: list[list[tuple[int, int]]],
) -> None:
    rows = [(number, *text) for number, texts in enumerate(queries) for text in texts]
    shuffled = np.random.default_rng(0).permutation(np.array(rows))
    together = ndcg(shuffled[:, 0], shuffled[:, 1].astype(float), shuffled[:, 2].astype(float))
    alone = [one([gold for gold, _ in texts], [score for _, score in texts]) for texts in queries]
    assert together.tolist() == pytest.approx(alone, abs=1e-12)


def test_queries_with_nothing_to_rank_are_left_out_and_counted() -> None:
    columns = {
        "query": ["none", "none", "some", "some", "all", "all", "more", "more"],
        "gold": [0, 0, 1, 0, 2, 2, 0, 1],
        "teacher": [1, 2, 2, 1, 1, 2, 1, 2],
        "student": [1, 2, 1, 2, 1, 2, 1, 2],
    }
    items = items_of("NDCG@10", columns)
    assert isinstance(items, RankingItems)
    assert (items.ids, items.left_out) == (("more", "some"), 2)
    assert items.teacher.tolist() == [1, 1]
    assert items.student.tolist() == pytest.approx([1, 1 / math.log2(3)])
    assert items.kept("0.9").startswith("Without 2 queries that have nothing to rank, the student keeps 0.9 of")


def test_a_query_is_contaminated_where_one_of_its_texts_is() -> None:
    columns = drawn(40) | {"contaminated": [row in (3, 5, 16) for row in range(320)]}
    found = items_of("NDCG@10", columns).contaminated
    assert found is not None
    assert np.flatnonzero(found).tolist() == [0, 2]


def test_a_student_like_its_teacher_passes_and_one_of_random_scores_fails() -> None:
    columns = drawn(600)
    verdict = decide(items_of("NDCG@10", columns), GATE)
    [retention] = verdict.criteria
    assert (verdict.verdict, retention.clusters) == ("Pass", None)
    assert "of the teacher's NDCG@10 (90 % interval 0.9" in retention.message
    assert decide(items_of("NDCG@10", columns | {"student": -columns["gold"]}), GATE).verdict == "Fail"


def without_added(pair: EstimatesPair) -> EstimatesPair:
    """The pair as if there were no items added: what Student and Fieller have."""
    new, reference = (
        type(each)(each.value, each.items, each.clusters, 0.0) for each in (pair.new, pair.reference)
    )  # fmt: skip
    return EstimatesPair(new, reference, never_worse=False, nothing="")


def test_on_many_queries_the_intervals_are_fiellers_and_students(monkeypatch: pytest.MonkeyPatch) -> None:
    items = items_of("NDCG@10", drawn(500))
    students: Callable[..., float] = lambda falls, level: float(stats.t.ppf(1 - level, len(falls) - 1))  # noqa: E731
    monkeypatch.setattr("distillery_gate.estimates.critical", students)
    pair = items.pair(items.teacher)
    assert isinstance(pair, EstimatesPair)
    plain = without_added(pair)
    expected = ratio_interval(items.student, items.teacher, LEVEL)
    assert plain.ratio_interval(LEVEL) == pytest.approx(expected, abs=1e-12)
    paired = stats.ttest_rel(items.student, items.teacher).confidence_interval(1 - 2 * LEVEL)
    assert plain.difference_interval(LEVEL) == pytest.approx((paired.low, paired.high), abs=1e-12)
    assert pair.ratio_interval(LEVEL) == pytest.approx(expected, abs=2e-3)


def test_queries_on_which_all_models_agree_are_not_certain() -> None:
    columns = drawn(20)
    items = items_of("NDCG@10", columns | {"student": columns["gold"], "teacher": columns["gold"]})
    low, high = items.pair(items.teacher).ratio_interval(LEVEL)
    assert 0.9 < low < 0.98
    assert high > 1.02
    value, interval = items.measure(items.student, LEVEL)
    assert (value, interval.high) == (1.0, 1.0)
    assert 0.9 < interval.low < 0.98


def test_the_incumbent_and_a_floor_are_judged_in_points_of_ndcg() -> None:
    columns = drawn(800)
    columns["incumbent"] = columns["teacher"]
    verdict = decide(items_of("NDCG@10", columns), Gate(min_retention=0.8, incumbent_margin=0.03, min_ndcg=0.7))
    retention, incumbent, floor = verdict.criteria
    assert (retention.verdict, incumbent.verdict, floor.verdict) == ("Pass", "Pass", "Pass")
    assert incumbent.value == pytest.approx(verdict.measurements[1].value - verdict.measurements[2].value)
    assert floor.message.startswith("The student's NDCG@10 is 0.")
    assert decide(items_of("NDCG@10", columns), Gate(min_retention=0.8, min_ndcg=0.99)).verdict == "Fail"


def test_clusters_of_queries_widen_and_copies_count_about_once() -> None:
    columns, copies = drawn(300), 4
    texts = {name: np.tile(np.asarray(values), copies).tolist() for name, values in columns.items()}
    texts["query"] = [f"{query} {row // 2400}" for row, query in enumerate(texts["query"])]
    once, many = (decide(items_of("NDCG@10", each), GATE).criteria[0] for each in (columns, texts))
    assert (many.clusters, many.n) == (300, 1200)
    assert (many.low, many.high) == pytest.approx((once.low, once.high), abs=0.001)


def test_a_query_is_in_one_cluster_and_one_slice() -> None:
    columns = drawn(50)
    columns["slice"] = ["de" if row < 200 else "en" for row in range(400)]
    gate = Gate(min_retention=0.5, slices=SliceGate(min_retention=0.5, min_items=20))
    assert [each.n for each in decide(items_of("NDCG@10", columns), gate).slices] == [25, 25]
    columns["slice"][3] = "en"
    with pytest.raises(GateInputError, match=r"slice: item [0-7] has another one than other texts of its query"):
        items_of("NDCG@10", columns)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"gold": [-1.0, 0.0, 1.0, 2.0]}, "gold: item 0 is -1.0, and NDCG takes gold scores as gains"),
        ({"gold": [1.0, 1.0, 0.0, 0.0]}, "query: none has texts of different gold scores"),
        ({"gold": [1.0, 0.0, 0.0, 0.0]}, "ids: one query says nothing"),
        ({"student": [1.0, math.nan, 0.0, 0.0]}, "student: item 1 is NaN"),
    ],
)
def test_what_cannot_be_ranked_is_refused(change: dict[str, Any], words: str) -> None:
    columns: dict[str, Any] = {
        "query": ["a", "a", "b", "b"], "gold": [1, 0, 0, 1], "teacher": [1, 0, 0, 1], "student": [1, 0, 0, 1],
    }  # fmt: skip
    assert items_of("NDCG@10", columns).n == 2
    with pytest.raises(GateInputError, match=words):
        items_of("NDCG@10", columns | change)
    with pytest.raises(GateInputError, match="query: no such column"):
        items_of("NDCG@10", {name: values for name, values in columns.items() if name != "query"})


def test_a_teacher_that_ranks_nothing_and_gains_beyond_one_are_refused() -> None:
    given: dict[str, Any] = {"ids": [1, 2], "student": [0.5, 1], "unranked": [0.5, 0.5]}
    with pytest.raises(GateInputError, match="teacher: NDCG@10 of 0 on 2 queries"):
        decide(RankingItems(teacher=np.zeros(2), **given), GATE)
    with pytest.raises(GateInputError, match=r"teacher: query 1 is 1\.5; give its NDCG@10"):
        RankingItems(teacher=np.array([0.5, 1.5]), **given)


def pool(**drawing: Any) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    items: Any = items_of("NDCG@10", drawn(20_000, **drawing))
    return items.student, items.teacher, items.unranked


def passing(pooled: tuple[NDArray[Any], ...], threshold: float, n: int, draws: int) -> float:
    """Share of samples of n queries that are shown to be above the threshold."""
    random, passed = np.random.default_rng(7), 0
    for _ in range(draws):
        rows = random.integers(len(pooled[0]), size=n)
        student, teacher, unranked = (each[rows] for each in pooled)
        items = RankingItems(ids=range(n), student=student, teacher=teacher, unranked=unranked)
        passed += items.pair(items.teacher).ratio_interval(LEVEL).low > threshold
    return passed / draws


@pytest.mark.parametrize(("n", "apart"), [(50, 0.02), (50, 1.0), (200, 0.3)])
def test_a_student_exactly_at_the_threshold_passes_at_most_at_about_the_level(n: int, apart: float) -> None:
    """Also where it hardly differs from its teacher, and most samples show no difference at all."""
    pooled = pool(noise=0.3, apart=apart)
    threshold, draws = pooled[0].mean() / pooled[1].mean(), 600
    assert passing(pooled, threshold, n, draws) < LEVEL + 3 * sqrt(LEVEL * (1 - LEVEL) / draws)


def test_the_queries_it_asks_for_decide_in_about_80_percent() -> None:
    pooled = pool(noise=0.5, apart=0.5)
    student, teacher, unranked = pooled
    items = RankingItems(ids=range(len(student)), student=student, teacher=teacher, unranked=unranked)
    pair = items.pair(items.teacher)
    needed = pair.ratio_items_needed(pair.ratio() - 0.02, LEVEL)
    assert needed is not None
    assert passing(pooled, pair.ratio() - 0.02, needed, 400) == pytest.approx(0.8, abs=0.07)
