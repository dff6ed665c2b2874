"""Calls of the API under a term: a write never outlasts it, a read does not care."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import yaml
from aiohttp import web
from distillery_operator.__main__ import candidate_of
from distillery_operator.cluster import ApiError, Cluster
from distillery_operator.lease import Candidate
from distillery_operator.names import BATCH_JOB, LEASE

BODY = {"metadata": {"namespace": "team", "name": "child"}}


class Server:
    """Answers reads and Leases; writes of anything else hang."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.app = web.Application()
        self.app.router.add_route("*", "/{path:.*}", self.answer)

    async def answer(self, request: web.Request) -> web.Response:
        self.calls.append(request.method)
        if request.method != "GET" and "leases" not in request.path:
            await asyncio.sleep(5)
        return web.json_response({"items": [], "metadata": {"resourceVersion": "1"}})


@pytest.fixture
async def server() -> Server:
    return Server()


@pytest.fixture
async def cluster(server: Server, tmp_path: Path) -> AsyncIterator[Cluster]:
    runner = web.AppRunner(server.app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0]
    config = {
        "current-context": "c", "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
        "clusters": [{"name": "k", "cluster": {"server": f"http://{host}:{port}"}}],
    }  # fmt: skip
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config))
    async with Cluster(str(tmp_path / "kubeconfig")) as cluster:
        yield cluster
    await runner.cleanup()


async def test_a_write_ends_with_the_term(cluster: Cluster) -> None:
    ends = time.monotonic() + 0.3
    cluster.may_write = lambda: ends - time.monotonic()
    with pytest.raises(ApiError, match="Unreachable"):
        await cluster.create(BATCH_JOB, BODY)
    assert time.monotonic() - ends < 1


async def test_a_worker_that_is_cancelled_when_its_write_times_out_ends(cluster: Cluster, server: Server) -> None:
    ends = time.monotonic() + 0.3
    cluster.may_write = lambda: ends - time.monotonic()
    write = asyncio.create_task(cluster.create(BATCH_JOB, BODY))
    while not server.calls:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    asyncio.get_running_loop().call_at(ends - 0.01, write.cancel)
    time.sleep(ends + 0.1 - time.monotonic())  # noqa: ASYNC251 - so that both fall in one turn of the loop
    await asyncio.wait([write])
    assert write.cancelled()


async def test_after_the_term_no_write_leaves(cluster: Cluster, server: Server) -> None:
    cluster.may_write = lambda: 0.0
    for write in (
        cluster.create(BATCH_JOB, BODY),
        cluster.apply(BATCH_JOB, BODY),
        cluster.replace_status(BATCH_JOB, BODY),
        cluster.merge(BATCH_JOB, "team", "child", {}),
        cluster.delete(BATCH_JOB, "team", "child", "uid", foreground=False),
    ):
        with pytest.raises(ApiError, match="NotLeading"):
            await write
    assert server.calls == []


async def test_a_write_that_was_about_to_leave_when_the_process_was_stopped_does_not(
    cluster: Cluster, server: Server
) -> None:
    left = iter([5.0])  # the first look is before a connection is sought; the process sleeps through its term after it
    cluster.may_write = lambda: next(left, -1.0)
    with pytest.raises(ApiError, match="NotLeading"):
        await cluster.create(BATCH_JOB, BODY)
    await cluster.list(BATCH_JOB, None)  # so that whatever had left is there
    assert server.calls == ["GET"]


async def test_one_that_stands_by_reads_and_asks_for_the_lease(cluster: Cluster, server: Server) -> None:
    cluster.may_write = lambda: -1.0
    await cluster.list(BATCH_JOB, None)
    await cluster.create(LEASE, BODY)
    assert server.calls == ["GET", "POST"]


def test_the_flags_name_a_lease_and_a_holder() -> None:
    assert candidate_of("system/distillery", "pod_uid") == Candidate("system", "distillery", "pod_uid")
    assert candidate_of(None, None) is None


@pytest.mark.parametrize(
    ("lease", "identity"),
    [("system/distillery", None), (None, "pod"), ("distillery", "pod"), ("/distillery", "pod"), ("system/", "pod")],
)
def test_half_of_the_flags_is_refused(lease: str | None, identity: str | None) -> None:
    with pytest.raises(ValueError, match="--lease NAMESPACE/NAME and --identity ID"):
        candidate_of(lease, identity)
