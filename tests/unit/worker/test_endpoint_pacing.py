"""How long an endpoint's headers ask to wait, and how waits grow without them."""

import random
from datetime import UTC, datetime

import pytest
from distillery_worker.teachers.pacing import Patience, exhausted_for, retry_after

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        pytest.param({"retry-after": "7"}, 7.0, id="seconds"),
        pytest.param({"retry-after": "1.5"}, 1.5, id="a fraction of seconds"),
        pytest.param({"retry-after": "Thu, 01 Jan 2026 12:00:30 GMT"}, 30.0, id="a date"),
        pytest.param({"retry-after": "Thu, 01 Jan 2026 11:00:00 GMT"}, 0.0, id="a date that is past"),
        pytest.param({"retry-after-ms": "250", "retry-after": "1"}, 0.25, id="milliseconds before seconds"),
        pytest.param({"retry-after": "soon"}, None, id="words"),
        pytest.param({"retry-after": "-3"}, None, id="a negative number"),
        pytest.param({}, None, id="nothing"),
    ],
)
def test_retry_after_is_read_in_each_of_its_forms(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, NOW) == seconds


@pytest.mark.parametrize(
    ("remaining", "reset", "seconds"),
    [
        pytest.param("0", "6m0s", 360.0, id="minutes and seconds"),
        pytest.param("0", "20ms", 0.02, id="milliseconds are no minutes"),
        pytest.param("0", "1h2m3.5s", 3723.5, id="hours"),
        pytest.param("0", "12", 12.0, id="plain seconds"),
        pytest.param("0", "later", 0.0, id="words"),
        pytest.param("1", "6m0s", 0.0, id="requests are left"),
        pytest.param("", "6m0s", 0.0, id="what is left is not said"),
    ],
)
def test_an_exhausted_window_is_waited_for(remaining: str, reset: str, seconds: float) -> None:
    headers = {"x-ratelimit-remaining-requests": remaining, "x-ratelimit-reset-requests": reset}
    assert exhausted_for(headers, tokens=10) == pytest.approx(seconds)


@pytest.mark.parametrize(("remaining", "seconds"), [("9", 3.0), ("10", 0.0)])
def test_a_window_of_tokens_is_exhausted_when_less_is_left_than_the_last_question_took(
    remaining: str, seconds: float
) -> None:
    headers = {"x-ratelimit-remaining-tokens": remaining, "x-ratelimit-reset-tokens": "3s"}
    assert exhausted_for(headers, tokens=10) == seconds


def test_waits_double_up_to_the_longest_and_are_spread_over_their_whole_range() -> None:
    patience, generator = Patience(first_wait=1, longest_wait=10), random.Random(0)
    waits = {tries: [patience.wait(tries, generator) for _ in range(500)] for tries in (1, 3, 9, 10**6)}
    assert [max(waits[tries]) for tries in (1, 3, 9, 10**6)] == pytest.approx([2, 8, 10, 10], rel=0.02)
    assert all(min(given) < 0.05 * max(given) for given in waits.values())
