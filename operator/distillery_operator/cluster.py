"""The one place that calls the Kubernetes API, through `kubernetes.aio`, with a deadline on every call."""

import asyncio
import json
import logging
import math
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, cast

import aiohttp
from kubernetes.aio import client, config

from .metrics import API_REQUESTS, API_SECONDS
from .names import FIELD_MANAGER, LEASE, Kind
from .store import Object

log = logging.getLogger(__name__)

DEADLINE = 30.0  # seconds for one call


class ApiError(Exception):
    """The API server refused a call, or could not be reached (status 0)."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status, self.reason, self.message = status, reason, message


class NotLeadingError(ApiError):
    """The term of this process is over: the call did not leave."""

    def __init__(self) -> None:
        super().__init__(0, "NotLeading", "another process may lead: nothing is written")


class Cluster:
    """Calls on plain dictionaries. Use as an async context manager."""

    def __init__(self, kubeconfig: str | None) -> None:
        self._kubeconfig = kubeconfig
        self._client: client.ApiClient
        self.may_write: Callable[[], float] = lambda: math.inf  # for how many seconds; a Lease may bound it

    async def __aenter__(self) -> "Cluster":
        configuration = client.Configuration()
        if self._kubeconfig:
            await config.load_kube_config(self._kubeconfig, client_configuration=configuration)
        else:
            config.load_incluster_config(configuration)
        # trust_env: else every call looks for a .netrc in another thread, which costs more than the call.
        configuration.client_session_kwargs = {"trust_env": False, "request_class": self._request_class()}
        self._client = client.ApiClient(configuration)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.close()

    async def get(self, kind: Kind, namespace: str | None, name: str) -> Object | None:
        """The object as the API server has it now, or None."""
        try:
            return await self._call("GET", kind, kind.path(namespace, name))
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    async def list(
        self, kind: Kind, selector: str | None, namespace: str | None = None, fields: str | None = None
    ) -> tuple[list[Object], int]:
        """All objects of the kind and the resourceVersion of the list, in pages. `fields` is a field selector."""
        items: list[Object] = []
        query = {"limit": "100"} | ({"labelSelector": selector} if selector else {})
        query |= {"fieldSelector": fields} if fields else {}
        while True:
            page = await self._call("GET", kind, kind.path(namespace), query=query)
            # Items of a list carry no kind of their own.
            items.extend({"apiVersion": kind.api_version, "kind": kind.kind, **item} for item in page["items"])
            if not page["metadata"].get("continue"):
                return items, int(page["metadata"]["resourceVersion"])
            query["continue"] = page["metadata"]["continue"]

    async def create(self, kind: Kind, body: Object) -> Object:
        """Create; ApiError 409 when the name is taken."""
        return await self._call(
            "POST", kind, kind.path(body["metadata"]["namespace"]), body, {"fieldManager": FIELD_MANAGER}
        )

    async def replace_status(self, kind: Kind, body: Object) -> Object:
        """The status as in the body, of which nothing else counts; ApiError 409 where the object is another version."""
        path = kind.path(body["metadata"]["namespace"], body["metadata"]["name"], "status")
        return await self._call("PUT", kind, path, body, {"fieldManager": FIELD_MANAGER})

    async def apply(self, kind: Kind, body: Object) -> Object:
        """Server-side apply of the fields in the body, which become ours."""
        path = kind.path(body["metadata"]["namespace"], body["metadata"]["name"])
        query = {"fieldManager": FIELD_MANAGER, "force": "true"}
        return await self._call("PATCH", kind, path, body, query, "application/apply-patch+yaml")

    async def merge(
        self, kind: Kind, namespace: str, name: str, body: Object, subresource: str | None = None
    ) -> Object:
        """JSON merge patch. With metadata.resourceVersion in the body it fails (409) on a changed object."""
        path = kind.path(namespace, name, subresource)
        return await self._call(
            "PATCH", kind, path, body, {"fieldManager": FIELD_MANAGER}, "application/merge-patch+json"
        )

    async def delete(self, kind: Kind, namespace: str, name: str, uid: str, foreground: bool) -> None:
        """Delete that very object, its children first or in the background; absent is fine."""
        policy = "Foreground" if foreground else "Background"
        body = {"preconditions": {"uid": uid}, "propagationPolicy": policy}
        try:
            await self._call("DELETE", kind, kind.path(namespace, name), body)
        except ApiError as error:
            if error.status not in (404, 409):
                raise

    async def _call(
        self, method: str, kind: Kind, path: str, body: Object | None = None,
        query: dict[str, str] | None = None, content_type: str = "application/json",
    ) -> Object:  # fmt: skip
        started = time.monotonic()
        status = 0
        limit = self._limit(method, kind)
        try:
            request = await self._client.param_serialize(
                method, path, query_params=list((query or {}).items()), body=body,
                header_params={"Accept": "application/json", "Content-Type": content_type},
                auth_settings=["BearerToken"],
            )  # fmt: skip
            # Not the client's own timeout: it swallows a cancellation that comes in the same turn of the event loop.
            async with asyncio.timeout(limit):
                response = await self._client.call_api(*request)
                status, data = response.status, await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ApiError(0, "Unreachable", f"{type(error).__name__}: {error}") from error
        finally:
            API_REQUESTS.labels(method, kind.kind, str(status)).inc()
            API_SECONDS.labels(method).observe(time.monotonic() - started)
        return decoded(status, data)

    def _limit(self, method: str, kind: Kind) -> float:
        """Seconds for the call: a write must have ended when another process may lead."""
        left = math.inf if method == "GET" or kind == LEASE else self.may_write()
        if left <= 0:
            raise NotLeadingError
        return min(DEADLINE, left)

    def _request_class(self) -> type[aiohttp.ClientRequest]:
        """Requests whose body, and the headers with it, leave within the term or not at all.

        A process may be stopped after `_limit`, while a connection is made. When it goes on, what is due on sockets
        comes before timeouts, so the write would leave first.
        """
        cluster = self

        class Bounded(aiohttp.ClientRequest):
            async def write_bytes(self, writer: Any, conn: Any, content_length: int | None = None) -> None:
                if f"/{LEASE.plural}" in self.url.path or cluster.may_write() > 0:
                    await super().write_bytes(writer, conn, content_length)
                else:
                    conn.protocol.set_exception(NotLeadingError())  # which ends the wait for an answer

        return Bounded


def decoded(status: int, data: bytes) -> Object:
    """The JSON body, or the API server's Status as an ApiError."""
    try:
        body = cast(dict[str, Any], json.loads(data))
    except ValueError:
        body = {"message": data[:200].decode(errors="replace")}
    if 200 <= status <= 299:
        return body
    raise ApiError(status, str(body.get("reason", "")), str(body.get("message", "")))
