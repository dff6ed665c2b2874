"""Verdicts that look at part of the held-out rows first."""

from collections import Counter

import pytest
from distillery_worker.evaluation.extending import parts


def test_without_a_first_stage_all_rows_are_looked_at_once_and_in_order() -> None:
    assert parts(["a", "b", "a"], None) == [[0, 1, 2]]


def test_each_stage_doubles_what_was_looked_at_until_there_are_no_rows() -> None:
    found = parts([str(row) for row in range(1000)], 100)
    assert [len(places) for places in found] == [100, 100, 200, 400, 200]
    assert sorted(place for places in found for place in places) == list(range(1000))


@pytest.mark.parametrize("rows", [1, 99, 100])
def test_a_first_stage_that_holds_all_rows_is_the_only_one(rows: int) -> None:
    assert [len(places) for places in parts([str(row) for row in range(rows)], 100)] == [rows]


def test_a_cluster_is_never_torn() -> None:
    clusters = [f"document {row // 7}" for row in range(700)]
    found = parts(clusters, 100)
    assert [len(places) for places in found] == [105, 98, 203, 294]
    where = Counter((clusters[place], stage) for stage, places in enumerate(found) for place in places)
    assert len(where) == 100
    assert set(where.values()) == {7}


def test_the_first_rows_are_no_stretch_of_the_file() -> None:
    first = parts([str(row) for row in range(10_000)], 1000)[0]
    assert 4700 < sum(first) / len(first) < 5300
    assert first == parts([str(row) for row in range(10_000)], 1000)[0]
