"""The periodic full LIST: purges what a watch lost, and notices a watch that has gone deaf."""

import asyncio
import logging
import random
import time
from collections.abc import Callable

from .cluster import ApiError, Cluster
from .metrics import OBJECTS, PHANTOMS, keep_namespaces
from .names import CHILDREN, MANAGED_SELECTOR, PARENTS, Kind
from .store import Object, Store, key_of

log = logging.getLogger(__name__)

GRACE = 10.0  # seconds that a watch may lag behind a LIST
DEAF_AFTER = 2  # lists in a row that showed what the watch had not brought


class Resync:
    """Lists every kind in one namespace or, where that is empty, in all.

    `touched` is called for each object that came, changed or vanished.
    """

    def __init__(
        self, cluster: Cluster, store: Store, touched: Callable[[Kind, Object], None], period: float, namespace: str
    ) -> None:
        self._cluster, self._store, self._touched, self._period = cluster, store, touched, period
        self._namespace = namespace or None
        self._deaf: dict[Kind, int] = {}
        self._started = self._last = time.monotonic()
        self._heard: dict[Kind, float] = {}

    def heard(self, kind: Kind) -> None:
        """The watch on the kind brought something."""
        self._heard[kind] = time.monotonic()

    def silence(self, kind: Kind) -> float:
        """Seconds since the watch brought something, or a LIST showed that it had missed nothing."""
        return time.monotonic() - self._heard.get(kind, self._started)

    async def once(self) -> None:
        """Fill the store before anything is decided."""
        for kind in (*PARENTS, *CHILDREN):
            items, listed_at = await self._list(kind)
            self._store.replace(kind, items, listed_at)
            for item in items:
                self._touched(kind, item)
        self._last = time.monotonic()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(self._period * random.uniform(0.9, 1.1))
            try:
                for kind in (*PARENTS, *CHILDREN):
                    await self._compare(kind)
            except ApiError as error:
                log.warning("resync failed: %s", error)
                continue
            self._last = time.monotonic()
            keep_namespaces({key_of(parent)[0] for kind in PARENTS for parent in self._store.all(kind)})

    async def _list(self, kind: Kind) -> tuple[list[Object], int]:
        return await self._cluster.list(kind, None if kind in PARENTS else MANAGED_SELECTOR, self._namespace)

    async def _compare(self, kind: Kind) -> None:
        """LIST, give the watch time to bring the same, and take over what it did not bring."""
        items, listed_at = await self._list(kind)
        await asyncio.sleep(min(GRACE, self._period))
        missed = [item for item in items if self._store.lacks(kind, item)]
        gone = self._store.replace(kind, items, listed_at)
        for obj in (*missed, *gone):
            self._touched(kind, obj)
        PHANTOMS.labels(kind.kind).inc(len(gone))
        OBJECTS.labels(kind.kind).set(len(self._store.all(kind)))
        if missed or gone:
            self._deaf[kind] = self._deaf.get(kind, 0) + 1
        else:
            self._deaf[kind] = 0
            self.heard(kind)

    def trouble(self) -> str | None:
        """Why the operator should be restarted, if it should: a deaf watch, or no LIST for long."""
        for kind, lists in self._deaf.items():
            if lists >= DEAF_AFTER:
                return f"the watch on {kind.plural} missed what {lists} lists in a row showed"
        silent = time.monotonic() - self._last
        if silent > 3 * self._period + len(PARENTS + CHILDREN) * GRACE:
            return f"no full list succeeded for {silent:.0f} s"
        return None
