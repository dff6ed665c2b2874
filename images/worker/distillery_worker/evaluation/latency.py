"""Time of one answer: one input, one thread, preparing it included, in the engine that serves."""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..tasks.task import Engine

ITEMS = 200
WARM_UP = 20


def measure(engine: Engine, inputs: Sequence[Any]) -> tuple[float, float]:
    """p50 and p99 in milliseconds over the first ITEMS inputs."""
    chosen = inputs[:ITEMS]
    for row in chosen[:WARM_UP]:
        engine.outputs([row])
    times = []
    for row in chosen:
        start = time.perf_counter()
        engine.outputs([row])
        times.append((time.perf_counter() - start) * 1e3)
    return float(np.percentile(times, 50)), float(np.percentile(times, 99))
