"""The validation split: a tenth of every stratum, whole groups, and the same rows each time."""

import numpy as np
import pytest
from distillery_worker.data.splits import validation_rows
from distillery_worker.data.text import row_key
from distillery_worker.errors import InputRefused
from hypothesis import given, settings
from hypothesis import strategies as st


def keys_of(count: int) -> list[str]:
    return [row_key(str(number)) for number in range(count)]


def test_a_tenth_of_the_distinct_rows_is_set_aside_and_the_seed_draws_them() -> None:
    keys = keys_of(100) * 2
    held = validation_rows(keys, [0] * 200, None, seed=0)
    assert held.sum() == 20
    assert held[:100].tolist() == held[100:].tolist()
    assert held.tolist() == validation_rows(keys, [0] * 200, None, seed=0).tolist()
    assert held.tolist() != validation_rows(keys, [0] * 200, None, seed=1).tolist()


@pytest.mark.parametrize(
    ("rows_of_label", "held_of_label"),
    [
        pytest.param([500, 300, 200], [50, 30, 20], id="frequent labels give their tenth"),
        pytest.param([960, 20, 20], [96, 2, 2], id="so do rare ones"),
    ],
)
def test_each_label_gives_its_tenth(rows_of_label: list[int], held_of_label: list[int]) -> None:
    strata = np.repeat(range(len(rows_of_label)), rows_of_label)
    strata = strata[np.random.default_rng(0).permutation(len(strata))]
    held = validation_rows(keys_of(len(strata)), strata.tolist(), None, seed=3)
    assert np.bincount(strata[held]).tolist() == held_of_label


def test_many_labels_of_few_rows_still_give_a_tenth_together() -> None:
    held = validation_rows(keys_of(400), [row // 4 for row in range(400)], None, seed=0)
    assert held.sum() == 40


@settings(deadline=None)
@given(
    groups=st.lists(st.integers(0, 12), min_size=2, max_size=60).filter(lambda groups: len(set(groups)) > 1),
    seed=st.integers(0, 9),
)
def test_a_group_is_never_parted_and_both_sides_have_rows(groups: list[int], seed: int) -> None:
    names = [f"group {group}" for group in groups]
    held = validation_rows(keys_of(len(groups)), [0] * len(groups), names, seed)
    sides = {name: {bool(side) for side, of in zip(held, names, strict=True) if of == name} for name in names}
    assert all(len(side) == 1 for side in sides.values())
    assert 0 < held.sum() < len(groups)


def test_groups_of_equal_size_give_a_tenth_of_the_rows() -> None:
    held = validation_rows(keys_of(1000), [0] * 1000, [str(row // 50) for row in range(1000)], seed=0)
    assert held.sum() == 100


def test_equal_rows_in_two_groups_hold_the_groups_together() -> None:
    keys = [*keys_of(10), *keys_of(1), *(row_key(f"more {number}") for number in range(9))]
    groups = ["a"] * 10 + ["b"] * 10
    with pytest.raises(InputRefused, match=r"dataset\.columns\.group") as caught:
        validation_rows(keys, [0] * 20, groups, seed=0)
    assert caught.value.reason == "EmptyTrainSet"


def test_two_rows_are_one_to_learn_from_and_one_to_validate_on() -> None:
    assert validation_rows(keys_of(2), [0, 1], None, seed=0).sum() == 1
