"""One of several operators acts: whoever holds a Lease, by clocks that are never compared with each other."""

import asyncio
import datetime as dt
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from .cluster import ApiError, Cluster
from .metrics import LEADING
from .names import LEASE
from .store import Object

log = logging.getLogger(__name__)

# Seconds. Writes end RENEW_DEADLINE after the last renewal was asked for; others take over LEASE_DURATION after they
# saw it, or later. The gap is for what the API server still works on.
LEASE_DURATION = 15
RENEW_DEADLINE = 10.0
RENEW_EVERY = 2.0
LOOK_EVERY = 0.5
CALL = 3.0
RELEASE = 1.0


class LeaseLostError(Exception):
    """This process may no longer write."""


@dataclass(frozen=True)
class Candidate:
    """Who asks for which Lease. The identity must never be that of two live processes."""

    namespace: str
    name: str
    identity: str


def is_free(spec: Object, identity: str, unchanged: float) -> bool:
    """Whether `identity` may take the Lease, whose spec has not changed for so many seconds.

    A process that starts again under the same identity goes on at once.
    """
    holder = spec.get("holderIdentity")
    return not holder or holder == identity or unchanged >= spec.get("leaseDurationSeconds", LEASE_DURATION)


def claimed(spec: Object, identity: str, now: str) -> Object:
    """The spec under a new or the same holder; `now` is for people who read it."""
    taken = spec.get("holderIdentity") != identity
    return {
        "holderIdentity": identity,
        "leaseDurationSeconds": LEASE_DURATION,
        "acquireTime": now if taken else spec.get("acquireTime", now),
        "renewTime": now,
        "leaseTransitions": spec.get("leaseTransitions", 0) + taken,
    }


class Elector:
    """Waits for the Lease, renews it, gives it back."""

    def __init__(
        self, cluster: Cluster, candidate: Candidate,
        clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:  # fmt: skip
        self._cluster, self._candidate, self._clock, self._sleep = cluster, candidate, clock, sleep
        self._own: Object | None = None  # as our last write left it
        self._seen: Object = {}  # spec, since when by our clock
        self._since = clock()
        self._until = clock()

    def left(self) -> float:
        """Seconds in which this process may still write; 0 or less when it does not lead."""
        return self._until - self._clock()

    async def acquire(self) -> None:
        """Until the Lease is ours."""
        while not await self._tried(CALL):
            await self._sleep(LOOK_EVERY)
        LEADING.set(1)
        log.info("lease acquired", extra={"identity": self._candidate.identity})

    async def hold(self) -> None:
        """Renew until cancelled. Raises LeaseLostError."""
        renewed = True
        while True:
            await self._sleep(min(RENEW_EVERY if renewed else LOOK_EVERY, max(self.left(), 0.0)))
            if self.left() > 0:
                renewed = await self._tried(min(CALL, self.left()))
            if self.left() <= 0:
                LEADING.set(0)
                raise LeaseLostError(f"the Lease {self._candidate.namespace}/{self._candidate.name} was not renewed")

    async def release(self) -> None:
        """Let the next one lead at once, if the Lease is ours. Call when nothing of ours writes any more."""
        self._until = self._clock()
        LEADING.set(0)
        try:
            async with asyncio.timeout(RELEASE):
                while not await self._given_back():
                    pass
        except (ApiError, TimeoutError) as error:
            log.warning("lease not released, others wait %d s: %s", LEASE_DURATION, str(error) or "no answer")

    async def _given_back(self) -> bool:
        """One attempt; False when a renewal that was interrupted came through between our look and our write."""
        lease = await self._cluster.get(LEASE, self._candidate.namespace, self._candidate.name)
        spec = lease.get("spec", {}) if lease else {}
        if spec.get("holderIdentity") != self._candidate.identity:
            return True
        try:
            await self._write(lease, {**spec, "holderIdentity": "", "renewTime": micro_time()})
        except ApiError as error:
            if error.status == 409:
                return False
            raise
        log.info("lease released", extra={"identity": self._candidate.identity})
        return True

    async def _tried(self, seconds: float) -> bool:
        """One attempt within so many seconds; False when another holds the Lease or the API server does not answer."""
        try:
            async with asyncio.timeout(seconds):
                return await self.attempt()
        except (ApiError, TimeoutError) as error:
            self._own = None  # our write may have come through: look again
            log.warning("lease: %s", str(error) or "no answer")
            return False

    async def attempt(self) -> bool:
        """Take or renew the Lease, unless another holds it. Raises ApiError, 409 when another was faster."""
        asked = self._clock()
        lease = self._own or await self._cluster.get(LEASE, self._candidate.namespace, self._candidate.name)
        # One that was deleted by hand may still be believed in by its holder, who will create it again.
        spec = lease.get("spec", {}) if lease else self._seen
        if spec != self._seen:
            self._seen, self._since = spec, self._clock()
        if not is_free(spec, self._candidate.identity, self._clock() - self._since):
            self._until = asked
            return False
        self._own = await self._write(lease, claimed(spec, self._candidate.identity, micro_time()))
        self._seen, self._since = self._own["spec"], self._clock()
        self._until = asked + RENEW_DEADLINE
        return True

    async def _write(self, lease: Object | None, spec: Object) -> Object:
        namespace, name = self._candidate.namespace, self._candidate.name
        if lease is None:
            body = {
                "apiVersion": LEASE.api_version,
                "kind": LEASE.kind,
                "metadata": {"namespace": namespace, "name": name},
            }
            return await self._cluster.create(LEASE, {**body, "spec": spec})
        version = {"resourceVersion": lease["metadata"]["resourceVersion"]}
        return await self._cluster.merge(LEASE, namespace, name, {"metadata": version, "spec": spec})


def micro_time() -> str:
    """The time as a Lease carries it."""
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
