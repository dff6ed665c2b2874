"""The server as a process: what a kubelet, an operator and a client of a stopping pod see."""

import asyncio
import json
import math
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from distillery_api import exits
from distillery_api.run import ArtifactRef, ServeRun
from distillery_server.app import create_app
from distillery_server.connections import DatedHTTPProtocol
from distillery_server.limits import Limits
from distillery_server.process import Server, listen
from distillery_server.state import State

ZERO = "sha256:" + "0" * 64


class ServerUnderTest:
    """A running `python -m distillery_server` on a free port; its logs are parsed as they come."""

    def __init__(self, folder: Path, run: str) -> None:
        self.termination_log = folder / "termination-log"
        self.termination_log.touch()
        (folder / "run.json").write_text(run)
        arguments = ["--run", str(folder / "run.json"), "--host", "127.0.0.1", "--port", "0"]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "distillery_server", *arguments, "--termination-log", str(self.termination_log)],
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TMPDIR": str(folder)},
            text=True,
        )

    def wait_for(self, message: str) -> dict[str, Any]:
        """The first log entry from here on with that message."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            entry: dict[str, Any] = json.loads(line)
            if entry["message"] == message:
                return entry
        raise AssertionError(f"the server ended without logging {message!r}")

    def url(self) -> str:
        """Address, once the server is ready."""
        port = self.wait_for("listening")["port"]
        self.wait_for("ready")
        return f"http://127.0.0.1:{port}"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[str], ServerUnderTest]]:
    started: list[ServerUnderTest] = []

    def start_server(run: str) -> ServerUnderTest:
        started.append(ServerUnderTest(tmp_path, run))
        return started[-1]

    yield start_server
    for server in started:
        server.process.kill()
        server.process.communicate()


def serve_run(artifact: ArtifactRef) -> str:
    """run.json for the artifact; drains for one second."""
    run = ServeRun(namespace="ns", model="sentiment", revision="abc", artifact=artifact, drain_seconds=1)
    return run.model_dump_json(by_alias=True)


async def test_a_stopping_server_answers_every_request_until_it_closes(
    start: Callable[[str], ServerUnderTest], artifact: ArtifactRef
) -> None:
    server = start(serve_run(artifact))
    url = await asyncio.to_thread(server.url)
    assert not list(server.termination_log.parent.glob("artifact-*")), "files are left behind"
    answers: list[tuple[int, str]] = []
    answered, closed = asyncio.Event(), asyncio.Event()
    stopped_at = math.inf

    async def hammer(client: httpx.AsyncClient) -> None:
        while not closed.is_set():
            try:
                answer = await client.post(f"{url}/classify", json={"text": "good"})
            except (httpx.ConnectError, httpx.ReadError):  # refused, or reset as the listener closed
                assert time.monotonic() - stopped_at > 1, "a request failed before the drain was over"
                closed.set()
            else:
                answers.append((answer.status_code, answer.headers.get("connection", "")))
                answered.set()

    async with httpx.AsyncClient() as client, asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(hammer(client))
        await answered.wait()
        stopped_at = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(server.wait_for, "draining")
        ready = await client.get(f"{url}/v2/health/ready")
        assert (ready.status_code, ready.json()["reason"]) == (503, "Draining")
        await closed.wait()
    assert {status for status, _ in answers} == {200}
    assert {connection for _, connection in answers} == {"", "close"}
    assert await asyncio.to_thread(server.process.wait) == exits.DONE
    assert server.termination_log.read_text() == ""


@pytest.mark.parametrize(
    ("change", "reason", "says", "code"),
    [
        pytest.param({"digest": ZERO}, "DigestMismatch", "was asked for", exits.PERMANENT, id="other digest"),
        pytest.param({"uri": "file:///nowhere/x"}, "SourceNotFound", "check the", exits.PERMANENT, id="no artifact"),
    ],
)
def test_an_artifact_that_cannot_be_served_ends_the_process_with_the_reason(
    start: Callable[[str], ServerUnderTest],
    artifact: ArtifactRef,
    change: dict[str, str],
    reason: str,
    says: str,
    code: int,
) -> None:
    server = start(serve_run(artifact.model_copy(update=change)))
    assert server.wait_for("cannot serve")["failure"]["reason"] == reason
    assert server.process.wait() == code
    failure = json.loads(server.termination_log.read_text())
    assert failure["reason"] == reason
    assert says in failure["message"]


def test_a_wrong_run_file_ends_the_process_with_the_field(start: Callable[[str], ServerUnderTest]) -> None:
    server = start('{"stage": "serve", "model": 3}')
    assert server.process.wait() == exits.PERMANENT
    failure = json.loads(server.termination_log.read_text())
    assert failure["reason"] == "InvalidRun"
    assert "artifact" in failure["message"]


def test_a_server_that_still_loads_is_live_but_unready_and_stops_at_once(
    start: Callable[[str], ServerUnderTest], artifact: ArtifactRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # an object store that never answers
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "k")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
        server = start(serve_run(artifact.model_copy(update={"uri": "s3://bucket/student"})))
        url = f"http://127.0.0.1:{server.wait_for('listening')['port']}"
        assert httpx.get(f"{url}/v2/health/live").status_code == 200
        ready = httpx.get(f"{url}/v2/health/ready")
        assert (ready.status_code, ready.json()["reason"]) == (503, "Loading")
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(5) == exits.DONE


@pytest.mark.parametrize(("seconds", "closes"), [(0.0, True), (60.0, False)])
async def test_a_connection_is_closed_with_its_first_response_after_the_age_limit(
    state: State, seconds: float, closes: bool
) -> None:
    app = create_app(state, workers=1, limits=Limits(connection_seconds=seconds))
    sock = listen("127.0.0.1", 0)
    server = Server(uvicorn.Config(app, http=DatedHTTPProtocol, lifespan="off", log_config=None))
    serving = asyncio.create_task(server.serve(sockets=[sock]))
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{sock.getsockname()[1]}") as client:
        answer = await client.get("/v2/health/live")
    server.should_exit = True
    await serving
    assert (answer.headers.get("connection") == "close") is closes


@pytest.mark.parametrize("host", [None, "127.0.0.1"])
def test_the_server_listens_on_all_addresses_or_on_the_one_that_is_named(host: str | None) -> None:
    with listen(host, 0) as sock, socket.create_connection(("127.0.0.1", sock.getsockname()[1])):
        pass
