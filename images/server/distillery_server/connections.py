"""Bounded age of connections, so that keep-alive clients follow a cut-over and leave a stopping server."""

import asyncio
import time
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from .state import State


class DatedHTTPProtocol(AutoHTTPProtocol):  # type: ignore[valid-type,misc]  # chosen at import: httptools or h11
    """uvicorn's HTTP protocol; each request's scope says when its connection was made (monotonic seconds)."""

    app_state: dict[str, Any]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note the time; uvicorn copies `app_state` into the scope of every request."""
        self.app_state = {**self.app_state, "connected_at": time.monotonic()}
        super().connection_made(transport)


class BoundedConnections:
    """Adds `Connection: close` to responses on old connections, and to all of them while draining."""

    def __init__(self, app: ASGIApp, state: State, max_seconds: float) -> None:
        self._app = app
        self._state = state
        self._max_seconds = max_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; the header is decided when the response starts."""

        async def send_closing(message: Message) -> None:
            if message["type"] == "http.response.start" and self._closes(scope):
                message["headers"] = [*message.get("headers", []), (b"connection", b"close")]
            await send(message)

        await self._app(scope, receive, send_closing)

    def _closes(self, scope: Scope) -> bool:
        connected = scope.get("state", {}).get("connected_at")
        return self._state.draining or (connected is not None and time.monotonic() - connected > self._max_seconds)
