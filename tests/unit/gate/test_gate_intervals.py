"""Score intervals: published values, a likelihood computed another way, and what must always hold."""

from math import copysign, log, sqrt

import pytest
from distillery_gate.intervals import z_value
from distillery_gate.paired_counts import PairedCounts
from distillery_gate.paired_difference import difference_interval, difference_items_needed
from distillery_gate.paired_ratio import ratio_interval, ratio_items_needed
from distillery_gate.proportion import wilson_interval
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.stats import norm
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import proportion_confint

# Complete response before and after consolidation therapy, and airway hyper-responsiveness before and after
# transplantation: Fagerland, Lydersen & Laake, Statistical Analysis of Contingency Tables, chapter 8.
CAVO = PairedCounts(both=59, new_only=6, reference_only=16, neither=80)
BENTUR = PairedCounts(both=1, new_only=1, reference_only=7, neither=12)
# Soft contact lenses, Tango (1998), section 6.1.
LENSES = PairedCounts(both=43, new_only=0, reference_only=1, neither=0)

TABLES = [
    CAVO,
    BENTUR,
    LENSES,
    PairedCounts(7430, 500, 800, 1270),
    PairedCounts(30, 0, 9, 4),
    PairedCounts(30, 9, 0, 4),
    PairedCounts(0, 5, 3, 2),
    PairedCounts(25, 4, 6, 0),
]

tables = st.builds(PairedCounts, st.integers(0, 60), st.integers(0, 25), st.integers(0, 25), st.integers(0, 60)).filter(
    lambda counts: counts.n > 0
)
ratio_tables = tables.filter(lambda counts: counts.reference > 0)
levels = st.sampled_from([0.001, 0.025, 0.05, 0.2])


def mirrored(counts: PairedCounts) -> PairedCounts:
    return PairedCounts(counts.both, counts.reference_only, counts.new_only, counts.neither)


def log_likelihood(table: list[tuple[int, float]]) -> float:
    """Of (observed count, probability) cells."""
    return sum(x * log(max(p, 1e-300)) for x, p in table if x)


def pearson(table: list[tuple[int, float]]) -> float:
    """Pearson's chi-square; at the restricted maximum likelihood it is the square of the score statistic."""
    n = sum(x for x, _ in table)
    return sum((x - n * p) ** 2 / (n * p) for x, p in table if n * p > 1e-7)


def best(function, low: float, high: float) -> float:
    """Argument in [low, high] with the largest value."""
    return minimize_scalar(lambda x: -function(x), bounds=(low, high), options={"xatol": 1e-11}).x


def reference_ratio_score(counts: PairedCounts, ratio: float) -> float:
    """Score statistic of H0: p_new = ratio * p_reference, by direct maximisation over both free rates."""

    def cells(p_ref: float, p_both: float) -> list[tuple[int, float]]:
        p_new = ratio * p_ref
        probabilities = (p_both, p_new - p_both, p_ref - p_both, 1 - p_new - p_ref + p_both)
        observed = (counts.both, counts.new_only, counts.reference_only, counts.neither)
        return list(zip(observed, probabilities, strict=True))

    def best_both(p_ref: float) -> float:
        low, high = max(0.0, (1 + ratio) * p_ref - 1), min(1, ratio) * p_ref
        return best(lambda p: log_likelihood(cells(p_ref, p)), low, high)

    p_ref = best(lambda p: log_likelihood(cells(p, best_both(p))), 0, min(1, 1 / ratio))
    return copysign(sqrt(pearson(cells(p_ref, best_both(p_ref)))), counts.new - ratio * counts.reference)


def reference_difference_score(counts: PairedCounts, difference: float) -> float:
    """Score statistic of H0: p_new - p_reference = difference, by direct maximisation over the free rate."""

    def cells(q: float) -> list[tuple[int, float]]:
        observed = (counts.new_only, counts.reference_only, counts.both + counts.neither)
        return list(zip(observed, (q + difference, q, 1 - 2 * q - difference), strict=True))

    q = best(lambda q: log_likelihood(cells(q)), max(0.0, -difference), (1 - difference) / 2)
    return copysign(sqrt(pearson(cells(q))), counts.new - counts.reference - counts.n * difference)


@pytest.mark.parametrize(
    ("counts", "low", "high"),
    [(CAVO, 0.7476, 0.9876), (BENTUR, 0.0653, 0.9069)],
    ids=["consolidation therapy", "airway hyper-responsiveness"],
)
def test_ratio_intervals_match_published_tang_intervals(counts, low, high):
    assert ratio_interval(counts, 0.025) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(
    ("counts", "low", "high"),
    [(CAVO, -0.1240, -0.0054), (BENTUR, -0.517, -0.026)],
    ids=["consolidation therapy", "airway hyper-responsiveness"],
)
def test_difference_intervals_match_published_tango_intervals(counts, low, high):
    assert difference_interval(counts, 0.025) == pytest.approx((low, high), abs=5e-4)


def test_tangos_own_contact_lens_example_is_reproduced():
    assert difference_interval(LENSES, 0.05).low == pytest.approx(-0.096, abs=5e-4)
    assert reference_difference_score(LENSES, -0.1) == pytest.approx(1.709, abs=5e-4)


@pytest.mark.parametrize("counts", TABLES, ids=str)
def test_ratio_bounds_are_where_the_likelihood_score_equals_the_normal_quantile(counts):
    low, high = ratio_interval(counts, 0.05)
    z = norm.ppf(0.95)
    assert reference_ratio_score(counts, low) == pytest.approx(z, abs=1e-4)
    assert reference_ratio_score(counts, high) == pytest.approx(-z, abs=1e-4)


@pytest.mark.parametrize("counts", TABLES, ids=str)
def test_difference_bounds_are_where_the_likelihood_score_equals_the_normal_quantile(counts):
    low, high = difference_interval(counts, 0.05)
    z = norm.ppf(0.95)
    assert reference_difference_score(counts, low) == pytest.approx(z, abs=1e-4)
    assert reference_difference_score(counts, high) == pytest.approx(-z, abs=1e-4)


@pytest.mark.parametrize("threshold", [0.5, 0.8, 0.9, 0.95, 1.0])
@pytest.mark.parametrize("counts", TABLES, ids=str)
def test_the_ratio_test_rejects_exactly_when_the_lower_bound_exceeds_the_threshold(counts, threshold):
    p_value = norm.sf(reference_ratio_score(counts, threshold))
    assert (p_value < 0.05) == (ratio_interval(counts, 0.05).low > threshold)


@given(tables, st.sampled_from([-0.3, -0.05, -0.01, 0.0, 0.1]), levels)
@settings(max_examples=80, deadline=None)
def test_the_difference_test_rejects_exactly_when_the_lower_bound_exceeds_the_threshold(counts, threshold, level):
    score = reference_difference_score(counts, threshold)
    # Nearer than the reference is accurate, either answer is right.
    if abs(score - norm.isf(level)) > 1e-3:
        assert (norm.sf(score) < level) == (difference_interval(counts, level).low > threshold)


@given(tables.filter(lambda counts: counts.discordant > 0 and counts.reference > 0), levels)
@example(PairedCounts(0, 0, 1, 0), 0.001)
@example(PairedCounts(0, 0, 25, 0), 0.2)
@settings(max_examples=100, deadline=None)
def test_at_equality_both_intervals_agree_with_mcnemars_test(counts, level):
    table = [[counts.both, counts.new_only], [counts.reference_only, counts.neither]]
    two_sided = mcnemar(table, exact=False, correction=False).pvalue
    if abs(two_sided - 2 * level) > 1e-9:
        significant = two_sided < 2 * level
        low, high = difference_interval(counts, level)
        assert significant == (not low <= 0 <= high)
        low, high = ratio_interval(counts, level)
        assert significant == (not low <= 1 <= high)


@given(ratio_tables, levels)
@settings(max_examples=100, deadline=None)
def test_intervals_hold_their_estimate_and_stay_in_range(counts, level):
    low, high = ratio_interval(counts, level)
    assert 0 <= low <= counts.new / counts.reference <= high < float("inf")
    low, high = difference_interval(counts, level)
    assert -1 <= low <= (counts.new - counts.reference) / counts.n <= high <= 1


@given(tables.filter(lambda counts: counts.new > 0 and counts.reference > 0), levels)
@settings(max_examples=100, deadline=None)
def test_swapping_the_models_inverts_the_ratio_and_negates_the_difference(counts, level):
    low, high = ratio_interval(counts, level)
    assert ratio_interval(mirrored(counts), level) == pytest.approx((1 / high, 1 / low), rel=1e-9)
    low, high = difference_interval(counts, level)
    assert difference_interval(mirrored(counts), level) == pytest.approx((-high, -low), abs=1e-9)


@given(ratio_tables)
@settings(max_examples=60, deadline=None)
def test_a_smaller_level_gives_a_wider_interval(counts):
    for interval in (ratio_interval, difference_interval):
        narrow, wide = interval(counts, 0.05), interval(counts, 0.01)
        assert wide.low <= narrow.low <= narrow.high <= wide.high


@given(tables.filter(lambda counts: counts.neither > 0), levels)
@settings(max_examples=100, deadline=None)
def test_one_more_right_answer_of_the_new_model_lowers_no_bound(counts, level):
    better = PairedCounts(counts.both, counts.new_only + 1, counts.reference_only, counts.neither - 1)
    intervals = [difference_interval] + ([ratio_interval] if counts.reference else [])
    for interval in intervals:
        before, after = interval(counts, level), interval(better, level)
        assert after.low >= before.low - 1e-12
        assert after.high >= before.high - 1e-12


def test_without_disagreement_the_intervals_take_their_closed_forms():
    z2 = norm.ppf(0.95) ** 2
    counts = PairedCounts(both=80, new_only=0, reference_only=0, neither=20)
    assert ratio_interval(counts, 0.05) == pytest.approx((80 / (80 + z2), (80 + z2) / 80))
    assert difference_interval(counts, 0.05) == pytest.approx((-z2 / (100 + z2), z2 / (100 + z2)))


def test_the_closed_forms_are_the_limits_of_rare_disagreement():
    n = 10**9
    rare = PairedCounts(n, 1, 1, 0)
    none = PairedCounts(n, 0, 0, 0)
    assert ratio_interval(rare, 0.05) == pytest.approx(ratio_interval(none, 0.05), abs=1e-8)
    assert difference_interval(rare, 0.05) == pytest.approx(difference_interval(none, 0.05), abs=1e-8)


def test_a_model_wrong_everywhere_has_ratio_zero_and_a_finite_upper_bound():
    counts = PairedCounts(both=0, new_only=0, reference_only=50, neither=10)
    assert ratio_interval(counts, 0.05) == pytest.approx((0, norm.ppf(0.95) ** 2 / 50))


def test_total_disagreement_reaches_the_end_of_the_difference_scale():
    assert difference_interval(PairedCounts(0, 20, 0, 0), 0.05).high == 1
    assert difference_interval(PairedCounts(0, 0, 20, 0), 0.05).low == -1


def test_a_ratio_to_nothing_is_refused():
    with pytest.raises(ValueError, match="right on no item"):
        ratio_interval(PairedCounts(0, 3, 0, 5), 0.05)


@given(st.integers(1, 5000), st.floats(0, 1), levels)
@settings(max_examples=100, deadline=None)
def test_wilson_intervals_equal_those_of_statsmodels(n, share, level):
    right = round(share * n)
    low, high = wilson_interval(right, n, z_value(level))
    expected = proportion_confint(right, n, alpha=2 * level, method="wilson")
    assert (low, high) == pytest.approx(expected, abs=1e-12)


def test_items_needed_do_not_depend_on_how_many_items_showed_the_rates():
    small, large = PairedCounts(74, 5, 6, 15), PairedCounts(7400, 500, 600, 1500)
    assert ratio_items_needed(small, 0.95, 0.05) == ratio_items_needed(large, 0.95, 0.05)
    assert difference_items_needed(small, -0.02, 0.05) == difference_items_needed(large, -0.02, 0.05)


def test_items_needed_are_none_at_or_under_the_threshold():
    level_with_threshold = PairedCounts(both=80, new_only=10, reference_only=20, neither=10)
    assert ratio_items_needed(level_with_threshold, 0.9, 0.05) is None
    assert difference_items_needed(level_with_threshold, -10 / 120, 0.05) is None
    assert ratio_items_needed(level_with_threshold, 0.95, 0.05) is None


def test_items_needed_beyond_any_test_set_are_none():
    assert difference_items_needed(PairedCounts(0, 10**6 + 1, 10**6, 0), 0.0, 0.05) is None


@pytest.mark.parametrize("n", [1, 2, 30, 10_000])
def test_a_difference_of_one_on_every_item_has_a_bound_inside_the_scale(n: int):
    z = norm.isf(0.05)
    low, high = difference_interval(PairedCounts(0, n, 0, 0), 0.05)
    assert (low, high) == (pytest.approx((n - z * z) / (n + z * z), abs=1e-9), 1.0)
    assert difference_interval(PairedCounts(0, 0, n, 0), 0.05) == (-1.0, pytest.approx(-low, abs=1e-9))
