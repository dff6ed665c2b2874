"""The periodic LIST against a watch that brings nothing."""

import asyncio

import pytest
from distillery_operator.cluster import ApiError, Cluster
from distillery_operator.names import JOB, Kind
from distillery_operator.resync import DEAF_AFTER, Resync
from distillery_operator.store import Object, Store

PERIOD = 0.005


class Server(Cluster):
    """Has one more job at every LIST, or refuses."""

    def __init__(self, refuses: bool = False) -> None:
        self.refuses, self.jobs = refuses, 0

    async def list(self, kind: Kind, selector: str | None, namespace: str | None = None) -> tuple[list[Object], int]:
        if self.refuses:
            raise ApiError(403, "Forbidden", "not now")
        self.jobs += kind == JOB
        names = [f"job-{number}" for number in range(self.jobs)] if kind == JOB else []
        return [{"metadata": {"namespace": "n", "name": n, "uid": n, "resourceVersion": "1"}} for n in names], self.jobs


def resync_of(server: Server) -> tuple[Resync, Store, list[str]]:
    store, woken = Store(), []  # type: tuple[Store, list[str]]
    return Resync(server, store, lambda kind, obj: woken.append(obj["metadata"]["name"]), PERIOD, ""), store, woken


async def trouble_of(resync: Resync) -> str:
    """Why the probe fails, once it does."""
    running = asyncio.create_task(resync.run())
    async with asyncio.timeout(5):
        while not (trouble := resync.trouble()):  # noqa: ASYNC110 - a probe is asked, it tells nobody
            await asyncio.sleep(PERIOD)
    running.cancel()
    return trouble


async def test_a_watch_that_brings_nothing_is_made_good_and_then_fails_the_probe():
    server = Server()
    resync, store, woken = resync_of(server)
    trouble = await trouble_of(resync)
    assert woken[:DEAF_AFTER] == ["job-0", "job-1"]
    assert len(store.all(JOB)) >= DEAF_AFTER
    assert "the watch on distillationjobs missed what" in trouble


async def test_an_operator_that_gets_no_list_for_long_fails_its_probe(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("distillery_operator.resync.GRACE", PERIOD)
    resync, _, _ = resync_of(Server(refuses=True))
    trouble = await trouble_of(resync)
    assert trouble.startswith("no full list succeeded for")
