"""The server process: listen, load, serve, drain on SIGTERM, exit."""

import asyncio
import contextlib
import logging
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import uvicorn
from distillery_api import exits
from distillery_api.run import ServeRun

from .app import create_app
from .connections import DatedHTTPProtocol
from .cpu import cpu_count
from .limits import Limits
from .loading import describe, load_model, write_termination_message
from .model import Model
from .state import State

log = logging.getLogger(__name__)

IDLE_SECONDS = 120  # of a keep-alive connection: longer than clients keep theirs, so that they close first
LAST_REQUESTS_SECONDS = 0.5  # uvicorn drops connections without a request; one may be on its way
FINISH_SECONDS = 20  # for requests still running when the listener has closed


class Server(uvicorn.Server):
    """uvicorn without its signal handling, which would close the listener at the first SIGTERM."""

    drained = False

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to `ServerProcess`."""
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the listener, give connections that were just accepted time to send their request, then stop."""
        for server in self.servers:
            server.close()
        await asyncio.sleep(LAST_REQUESTS_SECONDS if self.drained else 0)
        await super().shutdown(sockets)


class ServerProcess:
    """One run of the server, from listening to its exit code."""

    def __init__(self, run: ServeRun, sock: socket.socket, termination_log: Path, limits: Limits) -> None:
        self._state = State(run)
        self._socket = sock
        self._termination_log = termination_log
        self._limits = limits
        self._exit_code = exits.DONE
        config = uvicorn.Config(
            create_app(self._state, cpu_count(), limits),
            http=DatedHTTPProtocol,
            lifespan="off",
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=IDLE_SECONDS,
            timeout_graceful_shutdown=FINISH_SECONDS,
        )
        self._server = Server(config)

    def run(self) -> int:
        """Serve until SIGTERM, SIGINT or a failed load; gives the exit code."""
        factory = self._server.config.get_loop_factory()
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(self._serve())
        return self._exit_code

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._start_drain)
        self._start_load(loop)
        await self._server.serve(sockets=[self._socket])

    def _start_load(self, loop: asyncio.AbstractEventLoop) -> None:
        # A daemon thread: a download that hangs must not keep a stopping process alive.
        def load() -> None:
            try:
                model = load_model(self._state.run, self._limits.rows_per_run)
            except Exception as error:
                loop.call_soon_threadsafe(self._fail, error)
            else:
                loop.call_soon_threadsafe(self._become_ready, model)

        threading.Thread(target=load, name="load", daemon=True).start()

    def _become_ready(self, model: Model) -> None:
        self._state.model = model
        run = self._state.run
        log.info(
            "ready",
            extra={"fields": {"model": run.model, "revision": run.revision, "digest": run.artifact.digest}},
        )

    def _fail(self, error: Exception) -> None:
        # Exit rather than wait unready: reason and message then stand in the pod's status, where operators
        # look, and the kubelet's restarts are the retries.
        failure, self._exit_code = describe(error)
        self._state.failure = failure
        log.error("cannot serve", extra={"fields": {"failure": failure.dump()}}, exc_info=error)
        write_termination_message(self._termination_log, failure)
        self._server.should_exit = True

    def _start_drain(self) -> None:
        """Go on answering, unready and closing connections, while endpoints change; the second time, stop."""
        if self._state.draining or self._state.model is None:
            self._server.should_exit = True
            return
        self._state.draining = True
        seconds = self._state.run.drain_seconds
        log.info("draining", extra={"fields": {"seconds": seconds}})
        asyncio.get_running_loop().call_later(seconds, self._close_listener)

    def _close_listener(self) -> None:
        self._server.drained = self._server.should_exit = True


def listen(host: str | None, port: int) -> socket.socket:
    """A listening socket; without a host, on all addresses of both families where the node has IPv6."""
    if host is None and socket.has_dualstack_ipv6():
        with contextlib.suppress(OSError):  # IPv6 may be compiled in but switched off in this network namespace
            return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=2048)
    family = socket.AF_INET6 if host and ":" in host else socket.AF_INET
    return socket.create_server((host or "", port), family=family, backlog=2048)
