"""A keyed work queue: each key at most once at a time, none lost, failures backed off per key."""

import asyncio
import random
import time
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

FIRST_BACKOFF = 0.5  # seconds
LONGEST_BACKOFF = 300.0


class WorkQueue(Generic[K]):
    """Keys to reconcile. A key added while it is being worked on comes back once that work is done.

    `waited` is told how many seconds each key waited for its pass.
    """

    def __init__(self, waited: Callable[[K, float], None]) -> None:
        self._waited = waited
        self._ready: asyncio.Queue[K] = asyncio.Queue()
        self._dirty: dict[K, float] = {}  # since when
        self._active: set[K] = set()
        self._failures: dict[K, int] = {}
        self._timers: dict[K, asyncio.TimerHandle] = {}

    def waiting(self) -> list[K]:
        """Keys that wait for a pass. Other threads may ask."""
        return list(self._dirty)

    def add(self, key: K) -> None:
        """Ask for a pass over the key."""
        if key in self._dirty:
            return
        self._dirty[key] = time.monotonic()
        if key not in self._active:
            self._ready.put_nowait(key)

    def add_after(self, key: K, seconds: float) -> None:
        """Ask for a pass no later than in so many seconds."""
        loop = asyncio.get_running_loop()
        held = self._timers.get(key)
        if held is not None and held.when() <= loop.time() + seconds:
            return
        if held is not None:
            held.cancel()
        self._timers[key] = loop.call_later(seconds, self._fire, key)

    def _fire(self, key: K) -> None:
        self._timers.pop(key, None)
        self.add(key)

    async def get(self) -> K:
        """The next key, now being worked on: call `done` or `failed` for it."""
        key = await self._ready.get()
        self._waited(key, time.monotonic() - self._dirty.pop(key))
        self._active.add(key)
        return key

    def done(self, key: K) -> None:
        """The pass succeeded."""
        self._failures.pop(key, None)
        self._release(key)

    def failed(self, key: K) -> float:
        """The pass failed: the key returns after an exponential delay with jitter, in seconds."""
        count = self._failures[key] = self._failures.get(key, 0) + 1
        ceiling = min(LONGEST_BACKOFF, FIRST_BACKOFF * 2 ** min(count - 1, 10))
        delay: float = ceiling * random.uniform(0.5, 1.0)
        self._release(key)
        self.add_after(key, delay)
        return delay

    def _release(self, key: K) -> None:
        self._active.discard(key)
        if key in self._dirty:
            self._ready.put_nowait(key)
