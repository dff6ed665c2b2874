"""Who may use a worker: one request each, a bounded number waiting, the rest turned away."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class QueueFull(Exception):  # noqa: N818 - a state of the queue, not a fault
    """All workers are busy and the queue is at its bound."""


class Admission:
    """First come, first served over `workers` slots."""

    def __init__(self, workers: int, max_waiting: int) -> None:
        self._slots = asyncio.Semaphore(workers)
        self._max_waiting = max_waiting
        self.waiting = 0

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Hold a worker's slot. Raises QueueFull at once where the wait would be beyond the bound."""
        if self._slots.locked() and self.waiting >= self._max_waiting:
            raise QueueFull
        self.waiting += 1
        try:
            await self._slots.acquire()
        finally:
            self.waiting -= 1
        try:
            yield
        finally:
            self._slots.release()
