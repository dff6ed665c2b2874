"""Waiting for a cluster to become as a test wants it."""

import json
import time
from collections.abc import Callable
from typing import Any


def eventually(read: Callable[[], Any], wanted: Callable[[Any], bool], seconds: float = 120.0) -> Any:
    """Read until it is as wanted; fails with what was read last. `seconds` only bounds a hang."""
    deadline = time.monotonic() + seconds
    while True:
        last = read()
        if wanted(last):
            return last
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s; last: {json.dumps(last, default=str, indent=1)[-4000:]}")
        time.sleep(0.2)
