"""The arithmetic of the operator's bench."""

import os

import pytest
from measures import growth, latencies_ms, quantile, rate, requests, rss_mib, sample, writes

METRICS = """
apiserver_request_total{code="201",component="apiserver",dry_run="",group="batch",resource="jobs",scope="resource",subresource="",verb="POST",version="v1"} 7
apiserver_request_total{code="409",component="apiserver",dry_run="",group="batch",resource="jobs",scope="resource",subresource="",verb="POST",version="v1"} 2
apiserver_request_total{code="200",component="apiserver",dry_run="",group="g",resource="distillationjobs",scope="resource",subresource="status",verb="APPLY",version="v1"} 11
apiserver_request_total{code="200",component="apiserver",dry_run="",group="g",resource="distillationjobs",scope="resource",subresource="",verb="GET",version="v1"} 5
apiserver_request_total{code="200",component="apiserver",dry_run="",group="batch",resource="jobs",scope="resource",subresource="status",verb="PATCH",version="v1"} 3
"""  # noqa: E501


def test_requests_are_counted_by_verb_and_resource_where_they_succeeded():
    assert requests(METRICS) == {
        "POST jobs": 7, "APPLY distillationjobs/status": 11, "GET distillationjobs": 5, "PATCH jobs/status": 3,
    }  # fmt: skip


def test_writes_are_those_to_the_named_resources_and_no_reads():
    assert writes(requests(METRICS), ("jobs", "distillationjobs", "distillationjobs/status")) == 18


def test_growth_is_what_came_between_two_readings():
    assert growth({"POST jobs": 2, "GET pods": 1}, {"POST jobs": 7, "GET pods": 1, "PATCH pods": 1}) == {
        "POST jobs": 5, "PATCH pods": 1,
    }  # fmt: skip


def test_a_sample_is_the_sum_over_all_labels():
    assert sample('a_total{x="1"} 2.0\na_total{x="2"} 3.0\na_totals 9.0\n', "a_total") == 5


@pytest.mark.parametrize(("share", "value"), [(0.5, 50), (0.99, 99), (1.0, 100), (0.001, 1)])
def test_a_quantile_is_the_smallest_value_that_covers_the_share(share: float, value: int):
    assert quantile(list(range(100, 0, -1)), share) == value


def test_latencies_miss_no_end():
    assert latencies_ms({"a": 1.0}, {"a": 1.5, "b": 9.0}) == [500.0]
    with pytest.raises(KeyError):
        latencies_ms({"a": 1.0}, {})


def test_a_rate_is_by_the_time_between_first_and_last():
    assert rate(100, 2.0, 4.0) == 50


def test_resident_memory_of_a_process_is_read_in_mib():
    assert 5 < rss_mib(os.getpid()) < 5000
