"""What happens to the operator that leads, when there are two with a Lease."""

import asyncio
import signal
from collections.abc import Awaitable, Callable

from disturbances import Reachable, refusal
from fault import Fault
from proxy import Answer, Call, DroppedError, Forward
from world import World, operator_of

SLOW = 2.0  # seconds that a write takes at most where only the Lease is out of reach
MOMENT = 3.0  # seconds that the next leader has at most before the first comes back


class Succession(Reachable):
    """At one write something befalls its author, which leads, until another has led for a moment."""

    def __init__(self, fault: Fault, world: World) -> None:
        super().__init__(fault, world)
        self._apart: int | None = None  # the operator that does not reach the API server, or its Lease there
        self._after: asyncio.Task[None] | None = None
        self.looked: set[str] = set()  # processes that have read the Lease

    async def reach(self, by: str) -> None:
        while self.fault.kind == "leader-silence" and self.apart(by):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        if self.fault.kind == "leader-cut" and self.apart(by):
            raise DroppedError

    async def lease(self, call: Call, forward: Forward) -> Answer:
        if self.fault.kind == "lease-error" and self.apart(call.by):
            return refusal(500, "InternalError")
        answer = await forward()
        if not call.writes:
            self.looked.add(call.by)
        if self.fault.kind == "lease-lost" and self.apart(call.by) and call.writes:
            raise DroppedError
        return answer

    async def write(self, number: int, call: Call, forward: Forward) -> Answer:
        if number != self.fault.point:
            if self.apart(call.by):  # there must be work left when its term ends, and when another leads
                await asyncio.sleep(self.random.uniform(0, SLOW))
            return await forward()
        self.fired = True
        return await BEFALLS[self.fault.kind](self, call, forward)

    def apart(self, by: str) -> bool:
        """Whether that process is of the operator that is set apart."""
        return self._apart == operator_of(by)

    def set_apart(self, by: str) -> None:
        """Until another leads."""
        self._apart = operator_of(by)

        async def rejoin() -> None:
            self._apart = None

        self.once_another_leads(by, rejoin)

    def once_another_leads(self, by: str, then: Callable[[], Awaitable[None]]) -> None:
        """Do that a moment later, and wait for the end of the process that led."""
        self.world.under_way = True
        self._after = asyncio.create_task(self._follow(by, then))

    async def _follow(self, by: str, then: Callable[[], Awaitable[None]]) -> None:
        tally = self.world.tally
        while tally.holder in (by, "", None):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        await asyncio.sleep(self.random.uniform(0, MOMENT))
        await then()
        while not self.world.operator(by).exits:  # noqa: ASYNC110 - told by another thread
            await asyncio.sleep(0.05)
        tally.note(f"{by} has ended")
        self.world.under_way = False


async def nothing() -> None:
    """What there is to do where the first does not come back."""


async def kill_before(fault: Succession, call: Call, forward: Forward) -> Answer:
    fault.world.signal(call.by, signal.SIGKILL)
    fault.once_another_leads(call.by, nothing)
    raise DroppedError


async def kill_after(fault: Succession, call: Call, forward: Forward) -> Answer:
    await forward()
    return await kill_before(fault, call, forward)


async def late(fault: Succession, call: Call, forward: Forward) -> Answer:
    """The leader is killed, and the network delivers its write when another leads: no Lease can prevent that."""

    async def deliver() -> None:
        answer = await forward()
        fault.world.tally.note(f"the write {fault.fault.point} of {call.by} comes late: {answer.status}")

    fault.world.signal(call.by, signal.SIGKILL)
    fault.once_another_leads(call.by, deliver)
    raise DroppedError


async def terminate(fault: Succession, call: Call, forward: Forward) -> Answer:
    fault.world.signal(call.by, signal.SIGTERM)
    fault.once_another_leads(call.by, nothing)
    await asyncio.sleep(fault.random.uniform(0, 0.2))
    return await forward()


async def freeze(fault: Succession, call: Call, forward: Forward) -> Answer:
    """The answer, and whatever watches bring, waits in the sockets of the stopped process."""

    async def wake() -> None:
        fault.world.signal(call.by, signal.SIGCONT)

    fault.world.signal(call.by, signal.SIGSTOP)
    fault.once_another_leads(call.by, wake)
    return await forward()


async def cut(fault: Succession, call: Call, forward: Forward) -> Answer:
    fault.set_apart(call.by)
    fault.world.operator(call.by).proxy.abort_watches()
    raise DroppedError


async def silence(fault: Succession, call: Call, forward: Forward) -> Answer:
    fault.set_apart(call.by)
    await fault.reach(call.by)
    return await forward()


async def lose_lease(fault: Succession, call: Call, forward: Forward) -> Answer:
    """Only the Lease is out of reach: any other write would come through."""
    fault.set_apart(call.by)
    return await forward()


async def delete_lease(fault: Succession, call: Call, forward: Forward) -> Answer:
    """Whoever leads makes it anew, and goes on. One that never saw who held it could not know that it was held."""
    fault.looked.clear()
    while not fault.looked - {call.by}:  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    await asyncio.to_thread(fault.world.delete_lease)
    return await forward()


BEFALLS: dict[str, Callable[[Succession, Call, Forward], Awaitable[Answer]]] = {
    "leader-kill-before": kill_before, "leader-kill-after": kill_after, "leader-late": late,
    "leader-term": terminate, "leader-freeze": freeze, "leader-cut": cut, "leader-silence": silence,
    "lease-error": lose_lease, "lease-lost": lose_lease, "lease-deleted": delete_lease,
}  # fmt: skip
