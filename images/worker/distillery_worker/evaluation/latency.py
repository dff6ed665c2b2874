"""Time of one answer: one input, one thread, preparing it included, in the engine that serves."""

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle, islice
from typing import Any, NamedTuple

import numpy as np

from ..tasks.task import Engine

ANSWERS = 200
WARM_UP = 20
DIGITS = 4  # of milliseconds that are kept: a tenth of a microsecond


class Timings(NamedTuple):
    """Times and CPU times of answers to so many inputs, in milliseconds: [answers] each."""

    latency_ms: list[float]
    cpu_ms: list[float]
    inputs: int

    def percentile(self, share: float) -> float:
        """Of the times of answers. share: in percent"""
        return float(np.percentile(self.latency_ms, share))


def measure(
    engine: Engine, inputs: Sequence[Any], answers: int = ANSWERS, between: Callable[[], None] = lambda: None
) -> Timings:
    """Time so many answers to inputs from all over the file, in turn where there are fewer.

    between: called before each answer, outside of what is timed
    """
    chosen = spread(inputs, answers)
    for row in chosen[:WARM_UP]:
        engine.outputs([row])
    times, cpu = list[float](), list[float]()
    with collecting_what_is_new():
        for row in islice(cycle(chosen), answers):
            between()
            start, start_cpu = time.perf_counter(), time.thread_time()
            engine.outputs([row])
            cpu.append(round((time.thread_time() - start_cpu) * 1e3, DIGITS))
            times.append(round((time.perf_counter() - start) * 1e3, DIGITS))
    return Timings(times, cpu, len(chosen))


def spread(inputs: Sequence[Any], most: int) -> list[Any]:
    """At most so many inputs, evenly from all over the file."""
    places = np.linspace(0, len(inputs) - 1, min(most, len(inputs))).astype(int)
    return [inputs[place] for place in places]


@contextmanager
def collecting_what_is_new() -> Iterator[None]:
    """Python's collector passes over the objects of this process, which has far more of them than one that serves."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
