"""Between one operator and the API server: shows it one namespace as the whole cluster, counts, and disturbs."""

import asyncio
import itertools
import json
import re
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar

import aiohttp
from aiohttp import web
from journal import Tally
from yarl import URL

T = TypeVar("T")
WRITES = ("POST", "PUT", "PATCH", "DELETE")
LONGEST_EVENT = 2**22  # bytes of a line
HOP = {"host", "content-length", "transfer-encoding", "connection", "accept-encoding", "keep-alive"}
# Collections that the operator reads over all namespaces.
COLLECTION = re.compile(r"^(/apis/[^/]+/[^/]+|/api/v1)/([a-z]+)$")
SCOPED = {
    "distillationjobs", "distilledmodels", "jobs", "pods", "deployments", "services", "horizontalpodautoscalers",
}  # fmt: skip


class DroppedError(Exception):
    """The connection ends here, without a word."""


@dataclass(frozen=True)
class Answer:
    """What the API server said, or what the proxy says in its place."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Call:
    """A request of an operator."""

    by: str  # which process of which operator
    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes

    @property
    def writes(self) -> bool:
        """Whether it changes something."""
        return self.method in WRITES

    @property
    def leases(self) -> bool:
        """Whether it is about who leads."""
        return "/leases" in self.path

    @property
    def watches(self) -> bool:
        """Whether the answer is a stream of events."""
        return "watch=" in self.query

    def __str__(self) -> str:
        return f"{self.method} {self.path.removeprefix('/apis/').removeprefix('/api/')}"


Forward = Callable[[], Awaitable[Answer]]


class Disturbance:
    """Does nothing; a fault replaces the part that it is about."""

    fired = False

    def __init__(self) -> None:
        self.ended: set[int] = set()  # streams that end after what was told last

    async def write(self, number: int, call: Call, forward: Forward) -> Answer:
        """Answer a write; raises DroppedError."""
        return await forward()

    async def read(self, number: int, forward: Forward) -> Answer:
        """Answer a read; raises DroppedError."""
        return await forward()

    async def lease(self, call: Call, forward: Forward) -> Answer:
        """Answer a read of the Lease, or a write to it; raises DroppedError."""
        return await forward()

    async def event(self, number: int, stream: int, line: bytes) -> Iterable[bytes]:
        """What the operator sees of an event; raises DroppedError."""
        return (line,)

    async def reach(self, by: str) -> None:
        """Before any request and any event of a process; raises DroppedError while it is cut off."""


class Upstream:
    """The API server, and a thread with the event loop in which all proxies live."""

    def __init__(self, server: str, authority: str) -> None:
        self.server, self._authority = server, authority
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.session: aiohttp.ClientSession

    def __enter__(self) -> "Upstream":
        self._thread.start()
        self.run(self._open())
        return self

    def __exit__(self, *_: object) -> None:
        self.run(self._close())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    async def _open(self) -> None:
        context = ssl.create_default_context(cadata=self._authority)
        connector = aiohttp.TCPConnector(ssl=context, limit=0)
        timeout = aiohttp.ClientTimeout(total=None)
        self.session = aiohttp.ClientSession(connector=connector, timeout=timeout, read_bufsize=LONGEST_EVENT)

    async def _close(self) -> None:
        """End what proxies have left running."""
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
        await self.session.close()

    def run(self, work: Any) -> Any:
        """Run a coroutine in the loop and wait for it."""
        future: Future[Any] = asyncio.run_coroutine_threadsafe(work, self.loop)
        return future.result(60)


class Proxy:
    """Plain HTTP on a port of 127.0.0.1, where each path begins with the process that calls.

    Several proxies may share a disturbance and a journal.
    """

    def __init__(self, upstream: Upstream, namespace: str, disturbance: Disturbance, tally: Tally) -> None:
        self.upstream, self.namespace, self.disturbance, self.tally = upstream, namespace, disturbance, tally
        self._streams = itertools.count()
        self._watching: dict[int, web.BaseRequest] = {}
        self._runner: web.ServerRunner
        self.port = 0

    def __enter__(self) -> "Proxy":
        self.upstream.run(self._start())
        return self

    def __exit__(self, *_: object) -> None:
        self.upstream.run(self._runner.cleanup())

    def abort_watches(self) -> None:
        """End every stream that is open. Call it in the loop."""
        for request in list(self._watching.values()):
            abort(request)

    async def _start(self) -> None:
        server = web.Server(self._serve, handler_cancellation=True, access_log=None)
        self._runner = web.ServerRunner(server, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP}
        path, _, query = request.raw_path.partition("?")
        _, by, path = path.split("/", 2)
        call = Call(by, request.method, f"/{path}", query, headers, await request.read())
        try:
            await self.disturbance.reach(by)
            if call.watches:
                return await self._watch(request, call)
            answer = await self._answer(call)
        except (DroppedError, aiohttp.ClientConnectionError):
            abort(request)
            return web.Response(status=502)
        return web.Response(status=answer.status, body=answer.body, headers=answer.headers)

    async def _answer(self, call: Call) -> Answer:
        if call.leases:
            return await self.disturbance.lease(call, lambda: self._forward_lease(call))
        return await (self._write(call) if call.writes else self._read(call))

    async def _forward_lease(self, call: Call) -> Answer:
        answer = await self._forward(call)
        if call.writes and answer.status in (200, 201):
            self.tally.led_by(json.loads(answer.body)["spec"]["holderIdentity"])
        return answer

    async def _write(self, call: Call) -> Answer:
        entry = self.tally.write(call.by, str(call))
        answered: list[int] = []

        async def forward() -> Answer:
            answer = await self._forward(call)
            answered.append(answer.status)
            return answer

        try:
            answer = await self.disturbance.write(entry.number, call, forward)
        except BaseException as error:
            entry.fate = f"{answered[0] if answered else 'not forwarded'}, then {type(error).__name__}"
            raise
        entry.fate = (
            str(answer.status)
            if answered == [answer.status]
            else f"{answered or 'not forwarded'}, {answer.status} told"
        )
        return answer

    async def _read(self, call: Call) -> Answer:
        return await self.disturbance.read(self.tally.read(), lambda: self._forward(call))

    def _url(self, call: Call) -> URL:
        found = COLLECTION.match(call.path)
        path = call.path
        if found and found[2] in SCOPED:
            path = f"{found[1]}/namespaces/{self.namespace}/{found[2]}"
        # As it came: a label selector must not be encoded twice.
        return URL(f"{self.upstream.server}{path}" + (f"?{call.query}" if call.query else ""), encoded=True)

    def _request(self, call: Call) -> Any:
        return self.upstream.session.request(call.method, self._url(call), headers=call.headers, data=call.body or None)

    async def _forward(self, call: Call) -> Answer:
        async with self._request(call) as response:
            return Answer(response.status, await response.read(), kept(response.headers))

    async def _watch(self, request: web.BaseRequest, call: Call) -> web.StreamResponse:
        number = next(self._streams)
        self._watching[number] = request
        try:
            return await self._stream(request, call, number)
        finally:
            del self._watching[number]

    async def _stream(self, request: web.BaseRequest, call: Call, number: int) -> web.StreamResponse:
        async with self._request(call) as upstream:
            response = web.StreamResponse(status=upstream.status, headers=kept(upstream.headers))
            await response.prepare(request)
            async for line in upstream.content:
                for told in await self._told(call.by, number, line):
                    await response.write(told)
                if number in self.disturbance.ended:
                    raise DroppedError
        return response

    async def _told(self, by: str, stream: int, line: bytes) -> Iterable[bytes]:
        await self.disturbance.reach(by)
        if b'"type":"BOOKMARK"' in line[:40]:
            return (line,)
        return await self.disturbance.event(self.tally.event(), stream, line)


def abort(request: web.BaseRequest) -> None:
    """End the connection without an answer."""
    if request.transport is not None:
        request.transport.abort()


def kept(headers: Any) -> dict[str, str]:
    """Headers of an answer that pass."""
    return {name: value for name, value in headers.items() if name.lower() in ("content-type", "retry-after")}
