"""Progress adds up over pods and is written at steps that are worth it."""

import pytest
from distillery_api.distillationjob_status import Progress
from distillery_operator.progress import Report, summed, worth_a_write


def report(done: int, total: int, rate: float | None = None, eta: float | None = None) -> Report:
    return Report(stage="label", done=done, total=total, unit="rows", rate_per_second=rate, eta_seconds=eta)


def test_shards_add_up_and_the_slowest_sets_the_end():
    total = summed([report(10, 10, rate=5.0, eta=0), report(4, 10, rate=2.0, eta=3), report(2, 10, rate=1.0, eta=8)])
    assert total == Progress(done=16, total=30, unit="rows", rate_per_second=3.0, eta_seconds=8)


def test_pods_that_never_answered_make_no_progress():
    assert summed([]) is None


@pytest.mark.parametrize(
    ("done", "age", "expected"),
    [(104, 1.0, False), (105, 1.0, True), (101, 59.0, False), (101, 60.0, True), (100, 600.0, False)],
    ids=["4 % at once", "5 % at once", "1 % within a minute", "1 % after a minute", "nothing new is never written"],
)
def test_steps_of_five_percent_or_a_minute_are_written(done, age, expected):
    held = Progress(done=100, total=100, unit="rows")
    assert worth_a_write(held, held.model_copy(update={"done": done}), age) is expected
