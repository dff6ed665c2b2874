"""The queue works on each key at most once at a time and loses none."""

import asyncio

import pytest
from distillery_operator.workqueue import LONGEST_BACKOFF, WorkQueue


async def test_a_key_added_twice_is_worked_on_once():
    queue = WorkQueue[str](lambda key, seconds: None)
    queue.add("a")
    queue.add("a")
    assert await queue.get() == "a"
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(queue.get(), 0.01)


async def test_a_key_added_while_it_is_worked_on_comes_back_after_that():
    queue = WorkQueue[str](lambda key, seconds: None)
    queue.add("a")
    await queue.get()
    queue.add("a")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(queue.get(), 0.01)
    queue.done("a")
    assert await queue.get() == "a"


async def test_failures_back_off_up_to_a_bound_and_success_forgets_them():
    queue = WorkQueue[str](lambda key, seconds: None)
    delays = []
    for _ in range(20):
        queue.add("a")
        await queue.get()
        delays.append(queue.failed("a"))
    assert delays[0] <= 0.5 < delays[3] * 2
    assert max(delays) <= LONGEST_BACKOFF
    queue.add("a")
    await queue.get()
    queue.done("a")
    queue.add("a")
    await queue.get()
    assert queue.failed("a") <= 0.5


async def test_the_earlier_of_two_timers_counts():
    queue = WorkQueue[str](lambda key, seconds: None)
    queue.add_after("a", 60)
    queue.add_after("a", 0.01)
    assert await asyncio.wait_for(queue.get(), 1) == "a"


async def test_the_wait_of_each_key_is_told_when_its_pass_begins():
    waits = {}
    queue = WorkQueue[str](waits.__setitem__)
    queue.add("a")
    queue.add("b")
    assert queue.waiting() == ["a", "b"]
    await queue.get()
    assert (queue.waiting(), list(waits)) == (["b"], ["a"])
    assert waits["a"] >= 0
