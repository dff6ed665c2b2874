"""A bare HTTP session to an API server: the bench's own clients must cost less than what they measure."""

import json
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from kubernetes.aio import client, config

MERGE = "application/merge-patch+json"
PAGE = "500"  # objects of one page of a LIST


class Connection:
    """Requests on paths. Made by `connect`."""

    def __init__(self, http: aiohttp.ClientSession, host: str) -> None:
        self._http, self._host = http, host

    async def send(self, method: str, path: str, body: dict[str, Any] | None = None, content: str = "") -> Any:
        """The decoded answer; raises RuntimeError with the API server's words where it refuses."""
        headers = {"Content-Type": content or "application/json"} if body is not None else {}
        data = json.dumps(body).encode() if body is not None else None
        async with self._http.request(method, self._host + path, data=data, headers=headers) as response:
            answer = await response.read()
            if response.status >= 300:
                raise RuntimeError(f"{method} {path}: {response.status} {answer[:400].decode(errors='replace')}")
            return json.loads(answer)

    async def text(self, path: str) -> str:
        """The answer as text."""
        async with self._http.get(self._host + path) as response:
            return await response.text()

    async def list(self, path: str) -> list[dict[str, Any]]:
        """Every object of a kind, in pages."""
        found: list[dict[str, Any]] = []
        after = ""
        while True:
            async with self._http.get(self._host + path, params={"limit": PAGE, "continue": after}) as response:
                page = json.loads(await response.read())
            found += page["items"]
            after = page["metadata"].get("continue", "")
            if not after:
                return found

    async def watch(self, path: str) -> AsyncIterator[tuple[float, dict[str, Any]]]:
        """First (0, {}) once the watch stands, then monotonic time of arrival and event, without end."""
        async with self._http.get(self._host + path, params={"limit": "1"}) as response:
            version = (await response.json())["metadata"]["resourceVersion"]
        yield 0.0, {}
        while True:  # the API server ends watches that fall behind, and those that are old
            options = {"watch": "1", "resourceVersion": version}
            async with self._http.get(self._host + path, params=options) as response:
                async for line in response.content:
                    at, event = time.monotonic(), json.loads(line)
                    if event["type"] == "ERROR":
                        raise RuntimeError(f"the watch on {path} is broken: {event['object']}")
                    version = event["object"]["metadata"]["resourceVersion"]
                    yield at, event


@asynccontextmanager
async def connect(kubeconfig: Path) -> AsyncIterator[Connection]:
    """A session with the identity of the kubeconfig, without deadlines: the bench has its own."""
    found = client.Configuration()
    await config.load_kube_config(str(kubeconfig), client_configuration=found)
    tls = ssl.create_default_context(cafile=found.ssl_ca_cert)
    tls.load_cert_chain(found.cert_file, found.key_file)
    connector = aiohttp.TCPConnector(ssl=tls, limit=0)
    unlimited = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(connector=connector, timeout=unlimited, read_bufsize=2**22) as http:
        yield Connection(http, found.host)
