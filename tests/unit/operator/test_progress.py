"""Progress adds up over pods and is written at steps that are worth it."""

import asyncio
from typing import Any

import pytest
from aiohttp import web
from distillery_api.distillationjob_status import Progress
from distillery_operator import progress
from distillery_operator.names import OWNER_KIND, POD
from distillery_operator.pod_reports import Report, summed, worth_a_write
from distillery_operator.progress import ProgressPoller
from distillery_operator.store import Store


def report(done: int, total: int, rate: float | None = None, eta: float | None = None) -> Report:
    return Report(stage="label", done=done, total=total, unit="rows", rate_per_second=rate, eta_seconds=eta)


def test_shards_add_up_and_the_slowest_sets_the_end():
    total = summed([report(10, 10, rate=5.0, eta=0), report(4, 10, rate=2.0, eta=3), report(2, 10, rate=1.0, eta=8)])
    assert total == Progress(done=16, total=30, unit="rows", rate_per_second=3.0, eta_seconds=8)


def test_pods_that_never_answered_make_no_progress():
    assert summed([]) is None


@pytest.mark.parametrize(
    ("done", "age", "expected"),
    [(104, 1.0, False), (105, 1.0, True), (101, 59.0, False), (101, 60.0, True), (100, 600.0, False)],
    ids=["4 % at once", "5 % at once", "1 % within a minute", "1 % after a minute", "nothing new is never written"],
)
def test_steps_of_five_percent_or_a_minute_are_written(done, age, expected):
    held = Progress(done=100, total=100, unit="rows")
    assert worth_a_write(held, held.model_copy(update={"done": done}), age) is expected


def worker(uid: str, index: str | None = None) -> dict[str, Any]:
    """A running pod of a stage's Job; `index` where the Job has shards."""
    labels = {OWNER_KIND: "DistillationJob", "batch.kubernetes.io/job-name": "small-train-1"}
    notes = {"batch.kubernetes.io/job-completion-index": index} if index else {}
    metadata = {
        "name": uid, "namespace": "team", "uid": uid, "resourceVersion": uid, "labels": labels, "annotations": notes,
    }  # fmt: skip
    return {"metadata": metadata, "spec": {}, "status": {"phase": "Running", "podIP": "127.0.0.1"}}


async def published(monkeypatch: pytest.MonkeyPatch, pods: list[tuple[dict[str, Any], int]]) -> Progress:
    """What stands of the Job after each pod in turn has run and told of so many steps done of 1,000."""
    store, found, done, asked = Store(), dict[str, Progress](), 0, asyncio.Queue[None]()

    async def answer(_: web.Request) -> web.Response:
        asked.put_nowait(None)
        return web.json_response({"stage": "train", "done": done, "total": 1000, "unit": "steps"})

    app = web.Application()
    app.router.add_get("/progress", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    monkeypatch.setattr(progress, "PROGRESS_PORT", runner.addresses[0][1])
    polling = asyncio.create_task(ProgressPoller(store, found, lambda _: None, 0.01).run())
    for pod, done in pods:  # noqa: B007 - read by the answer
        store.put(POD, pod)
        for _ in range(2):  # the next question is asked when the first answer is published
            await asyncio.wait_for(asked.get(), 30)
        store.put(POD, {**pod, "metadata": {**pod["metadata"], "resourceVersion": "9"}, "status": {"phase": "Failed"}})
    polling.cancel()
    await asyncio.gather(polling, return_exceptions=True)
    await runner.cleanup()
    return found["small-train-1"]


async def test_a_pod_takes_the_place_of_the_one_that_failed_before_it(monkeypatch: pytest.MonkeyPatch):
    told = await published(monkeypatch, [(worker("1"), 560), (worker("2"), 502)])
    assert (told.done, told.total) == (502, 1000)


async def test_a_shard_that_ended_still_counts(monkeypatch: pytest.MonkeyPatch):
    told = await published(monkeypatch, [(worker("1", "0"), 1000), (worker("2", "1"), 400)])
    assert (told.done, told.total) == (1400, 2000)
