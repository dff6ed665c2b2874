"""Items in clusters: what they say less than independent ones, and how often the tests err on them."""

from math import sqrt

import numpy as np
import pytest
from distillery_gate import ErrorItems, EvaluationItems, Gate, GateInputError, decide
from distillery_gate.clusters import critical_value, degrees_of_freedom
from distillery_gate.paired_counts import count_pairs
from distillery_gate.paired_difference import difference_interval
from distillery_gate.paired_ratio import ratio_interval
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

LEVEL = 0.05  # of the first look, which spends half of the gate's
GATE = Gate(min_retention=0.95, level=2 * LEVEL)


def right(n: int, share: float, seed: int) -> NDArray[np.bool_]:
    return np.random.default_rng(seed).random(n) < share


def answers(n: int, clusters: object = None, copies: int = 1) -> EvaluationItems:
    """A teacher and a student, each item `copies` times."""
    teacher, student = (np.repeat(right(n, share, seed), copies) for share, seed in ((0.8, 1), (0.79, 2)))
    return EvaluationItems(ids=range(n * copies), teacher=teacher, student=student, clusters=clusters)


def test_clusters_of_one_item_are_independent_items():
    assert decide(answers(300, clusters=[f"document {i}" for i in range(300)]), GATE) == decide(answers(300), GATE)


def test_an_item_that_is_evaluated_five_times_counts_about_once():
    once, alone = (decide(items, GATE) for items in (answers(2000, np.repeat(np.arange(2000), 5), 5), answers(2000)))
    for many, one in zip((*once.criteria, *once.measurements), (*alone.criteria, *alone.measurements), strict=True):
        assert (many.low, many.high) == pytest.approx((one.low, one.high), abs=4e-4)
    as_if_independent = decide(answers(2000, None, 5), GATE).criteria[0]
    width = alone.criteria[0].high - alone.criteria[0].low
    assert as_if_independent.high - as_if_independent.low < 0.5 * width


def test_the_sentence_says_how_many_clusters_there_are():
    retention = decide(answers(400, np.repeat(np.arange(100), 4)), GATE).criteria[0]
    assert retention.clusters == 100
    assert "n = 400 in 100 clusters)" in retention.message
    assert (
        "in clusters of this size, would show it"
        in decide(answers(400, np.repeat(np.arange(100), 4)), Gate(min_retention=0.93)).criteria[0].message
    )


def test_neither_the_order_of_items_nor_the_names_of_clusters_matter():
    items = answers(300, np.repeat(np.arange(60), 5))
    order = np.random.default_rng(3).permutation(300)
    names = [f"c{59 - i // 5}" for i in range(300)]
    mixed = EvaluationItems(
        ids=order, teacher=items.teacher[order], student=items.student[order], clusters=[names[i] for i in order]
    )
    for found, expected in zip(decide(mixed, GATE).criteria, decide(items, GATE).criteria, strict=True):
        assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_errors_in_equal_clusters_are_compared_by_their_means():
    random = np.random.default_rng(4)
    incumbent, student = random.exponential(size=(2, 200))
    items = ErrorItems(
        ids=range(200), teacher=incumbent, student=student, incumbent=incumbent, clusters=np.repeat(np.arange(40), 5)
    )
    means = (incumbent - student).reshape(40, 5).mean(axis=1)
    expected = stats.ttest_1samp(means, 0).confidence_interval(1 - 2 * LEVEL)
    found = decide(items, GATE).criteria[1]
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_degrees_of_freedom_are_those_of_the_clusters_that_differ():
    even = np.array([1.0, -1.0] * 10)
    assert degrees_of_freedom(even) == 19
    lone = np.array([19.0] + [-1.0] * 19)
    assert degrees_of_freedom(lone) < 2.5


def test_clusters_of_which_few_differ_much_ask_for_more_than_students_t():
    even = np.array([1.0, -1.0] * 10)
    assert critical_value(even, LEVEL) == pytest.approx(stats.t.ppf(0.95, 19))
    lone = np.array([9.5] * 2 + [-19 / 18] * 18)
    t = stats.t.ppf(0.95, degrees_of_freedom(lone))
    skewed = t + stats.skew(lone) * (t**2 - 1) / (6 * sqrt(20))
    assert critical_value(lone, LEVEL) == pytest.approx(skewed) == critical_value(-lone, LEVEL)
    assert critical_value(lone * 0, LEVEL) == pytest.approx(stats.t.ppf(0.95, 19))


@pytest.mark.parametrize(
    ("clusters", "words"),
    [
        (["a"] * 300, "clusters: all items are of one"),
        (["a"] * 299, "clusters: has 299 names for 300 ids"),
        (["a"] * 299 + [None], "clusters: must be all text or all integers, found NoneType, str"),
        ([1.5] * 300, "found float"),
    ],
)
def test_clusters_that_cannot_be_used_are_refused(clusters, words):
    with pytest.raises(GateInputError, match=words):
        answers(300, clusters)


@given(st.integers(0, 10_000), st.integers(2, 12), st.floats(0.02, 0.98), st.floats(0.02, 0.98))
def test_every_interval_holds_its_estimate_and_is_no_narrower_than_that_of_independent_items(seed, count, one, other):
    random = np.random.default_rng(seed)
    clusters = np.sort(random.integers(0, count, 60))
    clusters[:2] = [0, 1]
    numbers = np.unique(clusters, return_inverse=True)[1]
    new, reference = random.random(60) < one, random.random(60) < other
    reference[0] = True
    grouped, alone = count_pairs(new, reference, numbers), count_pairs(new, reference)
    for interval, estimate in (
        (ratio_interval, grouped.new / grouped.reference),
        (difference_interval, (grouped.new - grouped.reference) / 60),
    ):
        low, high = interval(grouped, LEVEL)
        assert low <= estimate + 1e-12
        assert high >= estimate - 1e-12
        inner = interval(alone, LEVEL)
        assert low <= inner.low + 1e-9
        assert high >= inner.high - 1e-9


@pytest.mark.parametrize(("count", "alike"), [(20, 0.3), (50, 0.3), (50, 0.0)])
def test_a_student_exactly_at_the_threshold_passes_at_most_at_the_level_however_alike_its_clusters_are(count, alike):
    random = np.random.default_rng(5)
    draws, size, ratio = 1500, 8, 0.9
    rates = np.array([0.69, 0.03, 0.11, 0.17])  # both, new, reference, neither: 0.72 = 0.9 * 0.8
    passed = 0
    for _ in range(draws):
        mixed = random.dirichlet(rates * (1 - alike) / alike, size=count) if alike else np.tile(rates, (count, 1))
        kinds = np.array([random.choice(4, size=size, p=each / each.sum()) for each in mixed]).ravel()
        table = count_pairs(kinds <= 1, kinds % 2 == 0, np.repeat(np.arange(count), size))
        passed += ratio_interval(table, LEVEL).low > ratio
    assert passed / draws < LEVEL + 3.5 * sqrt(LEVEL * (1 - LEVEL) / draws)
