"""What the bench of quality makes of models' answers: gains, and an interval that counts items and seeds."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import quality_bench
import yaml
from scipy import stats


def test_a_gain_in_accuracy_is_what_the_student_alone_has_right() -> None:
    items = pa.table({"gold": list("aabb"), "student": list("aaab"), "control": list("abbb")})
    assert quality_bench.by_accuracy(items).tolist() == [0, 1, -1, 0]


def test_a_gain_in_error_is_how_much_nearer_the_student_is() -> None:
    items = pa.table({"gold": [1.0, 0.0], "student": [0.5, 1.0], "control": [3.0, -0.5]})
    assert quality_bench.by_error(items).tolist() == [1.5, -0.5]


def test_a_gain_in_likelihood_is_per_token_over_whole_documents() -> None:
    items = pa.table(
        {"cluster": ["a", "b", "a"], "tokens": [10, 5, 30], "student": [3.0, 4.0, 2.0], "control": [3.5, 4.0, 2.5]}
    )
    gains = quality_bench.by_likelihood(items)
    assert len(gains) == 2
    assert gains.mean() == pytest.approx((10 * 0.5 + 30 * 0.5) / 45)


def test_seeds_that_agree_leave_the_interval_of_the_items() -> None:
    items = np.random.default_rng(0).normal(0.1, 1, 40)
    found = quality_bench.estimate(np.stack([items] * 3))
    low, high = stats.ttest_1samp(items, 0).confidence_interval(0.95)
    assert (found.gain, found.low, found.high) == pytest.approx((items.mean(), low, high))


def test_items_that_agree_leave_the_interval_of_the_seeds() -> None:
    seeds = np.array([0.1, 0.3, 0.2])
    found = quality_bench.estimate(np.repeat(seeds[:, None], 50, axis=1))
    low, high = stats.ttest_1samp(seeds, 0).confidence_interval(0.95)
    assert (found.gain, found.low, found.high) == pytest.approx((0.2, low, high))


def test_nineteen_of_twenty_intervals_hold_the_gain_of_other_items_and_seeds() -> None:
    random = np.random.default_rng(1)
    held = 0
    for _ in range(400):
        gains = 0.1 + random.normal(0, 0.3, (1, 200)) + random.normal(0, 0.02, (3, 1)) + random.normal(0, 0.5, (3, 200))
        found = quality_bench.estimate(gains)
        held += found.low <= 0.1 <= found.high
    assert held / 400 >= 0.95


@pytest.mark.parametrize("case", quality_bench.CASES)
def test_every_case_is_the_job_of_an_example_with_a_control(case: str, tmp_path: Path) -> None:
    spec = yaml.safe_load(quality_bench.job_of(case, 7, tmp_path).read_text())["spec"]
    assert spec["training"]["seed"] == 7
    assert spec["training"]["control"]
    assert spec["dataset"]["test"] == "pvc://inputs/test.parquet"
    assert spec["teachers"] == [{"model": {"uri": "pvc://inputs/teacher"}}]
