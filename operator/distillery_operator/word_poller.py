"""Asking others why Jobs wait, again and again, and waking the parents of those whose answer changed."""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable

from .cluster import ApiError, Cluster
from .store import Key, Object, Store

log = logging.getLogger(__name__)


class WordPoller(ABC):
    """Publishes by Job name. `subject` says in the log what could not be read."""

    subject: str

    def __init__(
        self, cluster: Cluster, store: Store, published: dict[str, str], wake: Callable[[Key], None], period: float
    ) -> None:
        self._cluster, self._store, self._published = cluster, store, published
        self._wake, self._period = wake, period

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(self._period)
            try:
                await self.once()
            except ApiError as error:
                log.warning("%s cannot be read: %s", self.subject, error)

    @abstractmethod
    async def once(self) -> None:
        """Ask once for every Job that waits. Raises ApiError."""

    def _keep(self, jobs: Iterable[Object]) -> None:
        """Forget what was said of others."""
        for name in set(self._published) - {job["metadata"]["name"] for job in jobs}:
            self._published.pop(name)

    def _publish(self, job: Object, words: str | None) -> None:
        name = job["metadata"]["name"]
        if self._published.get(name) == words:
            return
        self._published.pop(name, None)
        if words is not None:
            self._published[name] = words
        if owner := self._store.owner_of(job):
            self._wake(owner)
