"""What each kind of fault does to the traffic of one run."""

import asyncio
import json
import signal
from collections.abc import Awaitable, Callable, Iterable

from fault import Fault
from proxy import Answer, Call, Disturbance, DroppedError, Forward
from world import World

FOREVER = 600.0  # seconds; longer than any patience of the operator
CHILDREN = ("job", "pod", "deployment", "service", "autoscaler")


class Reachable(Disturbance):
    """Holds traffic back, or ends it, as long as the world says so."""

    def __init__(self, fault: Fault, world: World) -> None:
        super().__init__()
        self.fault, self.world, self.random = fault, world, fault.random
        self.fired = fault.point == 0

    async def reach(self, by: str) -> None:
        while self.world.frozen or self.world.silent:  # noqa: ASYNC110 - set from other threads
            await asyncio.sleep(0.05)
        if self.world.cut:
            raise DroppedError


class AtWrite(Reachable):
    """One write, or a few in a row where the API server is out of sorts, end otherwise."""

    def __init__(self, fault: Fault, world: World) -> None:
        super().__init__(fault, world)
        self._act = WRITES[fault.kind]
        self._last = fault.point + (self.random.randint(0, 3) if fault.kind in BURSTS else 0)

    async def write(self, number: int, call: Call, forward: Forward) -> Answer:
        if not self.fault.point <= number <= self._last:
            answer = await forward()
            if answer.status == 409:
                await asyncio.to_thread(self.world.vanish, call.path)
            return answer
        self.fired = True
        return await self._act(self, call, forward)


Act = Callable[[AtWrite, Call, Forward], Awaitable[Answer]]


def told(code: int, reason: str, **headers: str) -> Act:
    """Say so in the API server's place; the write does not happen."""

    async def act(fault: AtWrite, call: Call, forward: Forward) -> Answer:
        return refusal(code, reason, **headers)

    return act


def refusal(code: int, reason: str, **headers: str) -> Answer:
    """A Status of the API server."""
    status = {
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason,
        "message": f"{reason}, by a fault that was asked for",
    }  # fmt: skip
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(code, json.dumps(status).encode(), {"Content-Type": "application/json", **named})


async def kill_before(fault: AtWrite, call: Call, forward: Forward) -> Answer:
    fault.world.signal(call.by, signal.SIGKILL)
    raise DroppedError


async def kill_after(fault: AtWrite, call: Call, forward: Forward) -> Answer:
    await forward()
    fault.world.signal(call.by, signal.SIGKILL)
    raise DroppedError


async def reset(fault: AtWrite, call: Call, forward: Forward) -> Answer:
    raise DroppedError


async def lost(fault: AtWrite, call: Call, forward: Forward) -> Answer:
    await forward()
    raise DroppedError


async def hang(fault: AtWrite, call: Call, forward: Forward) -> Answer:
    await asyncio.sleep(FOREVER)
    raise DroppedError


async def hang_after(fault: AtWrite, call: Call, forward: Forward) -> Answer:
    await forward()
    return await hang(fault, call, forward)


async def vanish(fault: AtWrite, call: Call, forward: Forward) -> Answer:
    """The reply of a create is lost, and the object goes just before the operator asks what holds its name."""
    if call.method != "POST":
        fault.world.void = "this write creates nothing"
        return await forward()
    if (await forward()).status != 201:
        fault.world.void = "this write creates nothing"
    else:
        fault.world.vanishing = (call.path, json.loads(call.body)["metadata"]["name"])
    raise DroppedError


def deleting(child: str) -> Act:
    """After the write, somebody deletes the newest child of that kind."""

    async def act(fault: AtWrite, call: Call, forward: Forward) -> Answer:
        answer = await forward()
        if not await asyncio.to_thread(fault.world.delete, child):
            fault.world.void = f"there is no {child} yet"
        return answer

    return act


def restoring(what: str, with_status: bool) -> Act:
    """After the write, objects are lost and come back from a backup, while the operator hears nothing."""

    async def act(fault: AtWrite, call: Call, forward: Forward) -> Answer:
        answer = await forward()
        fault.world.frozen = True
        try:
            await asyncio.to_thread(fault.world.restore, what, with_status)
        finally:
            fault.world.frozen = False
        return answer

    return act


async def cut(fault: AtWrite, call: Call, forward: Forward) -> Answer:
    fault.world.cut_off()
    raise DroppedError


async def silence(fault: AtWrite, call: Call, forward: Forward) -> Answer:
    fault.world.fall_silent()
    await fault.reach(call.by)
    return await forward()


BURSTS = ("conflict", "throttle", "error", "unavailable", "reset")
WRITES: dict[str, Act] = {
    "kill-before": kill_before, "kill-after": kill_after,
    "conflict": told(409, "Conflict"), "throttle": told(429, "TooManyRequests", Retry_After="1"),
    "error": told(500, "InternalError"), "unavailable": told(503, "ServiceUnavailable"),
    "reset": reset, "lost": lost, "hang": hang, "hang-after": hang_after, "vanish": vanish,
    **{f"delete-{child}": deleting(child) for child in CHILDREN},
    **{f"restore-{what}": restoring(what, False) for what in ("job", "model", "all")},
    **{f"restore-{what}-status": restoring(what, True) for what in ("job", "model", "all")},
    "cut": cut, "silence": silence,
}  # fmt: skip


class AtEvent(Reachable):
    """One event of a watch."""

    def __init__(self, fault: Fault, world: World) -> None:
        super().__init__(fault, world)
        self._held: dict[int, bytes] = {}  # by stream
        self._deaf: set[int] = set()

    async def event(self, number: int, stream: int, line: bytes) -> Iterable[bytes]:
        if stream in self._deaf:
            return ()
        if stream in self._held:
            return (line, self._held.pop(stream))
        if number != self.fault.point:
            return (line,)
        self.fired = True
        return await self._disturb(stream, line)

    async def _disturb(self, stream: int, line: bytes) -> Iterable[bytes]:
        kind = self.fault.kind
        if kind == "delay-event":
            await asyncio.sleep(self.random.uniform(0.5, 5))
        elif kind == "reorder-event":
            self._held[stream] = line
        elif kind == "deaf-watch":
            self._deaf.add(stream)
        elif kind in ("tear-event", "gone"):
            self.ended.add(stream)
        elif kind == "break-watch":
            raise DroppedError
        return TOLD[kind](line)


EXPIRED = (
    b'{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Expired","code":410}}\n'
)
TOLD: dict[str, Callable[[bytes], Iterable[bytes]]] = {
    "drop-event": lambda line: (), "delay-event": lambda line: (line,), "duplicate-event": lambda line: (line, line),
    "reorder-event": lambda line: (), "deaf-watch": lambda line: (), 
    "tear-event": lambda line: (line[: len(line) // 2],), "gone": lambda line: (EXPIRED,),
}  # fmt: skip


class AtRead(Reachable):
    """A few reads in a row."""

    def __init__(self, fault: Fault, world: World) -> None:
        super().__init__(fault, world)
        self._last = fault.point + self.random.randint(0, 3)

    async def read(self, number: int, forward: Forward) -> Answer:
        if not self.fault.point <= number <= self._last:
            return await forward()
        self.fired = True
        if self.fault.kind == "read-reset":
            raise DroppedError
        return refusal(500, "InternalError")


class Alongside(Reachable):
    """Two operators, each a little late with everything, so that they meet at ever other places."""

    async def write(self, number: int, call: Call, forward: Forward) -> Answer:
        await self._late()
        if number == self.fault.point:
            self.fired = True
            if self.fault.kind == "two-operators-and-kill":
                self.world.signal(call.by, signal.SIGKILL)
        return await forward()

    async def event(self, number: int, stream: int, line: bytes) -> Iterable[bytes]:
        await self._late()
        return (line,)

    async def _late(self) -> None:
        await asyncio.sleep(self.random.choice((0, 0, 0.02, 0.1)))
