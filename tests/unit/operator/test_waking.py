"""Who gets a pass when an object changes."""

from typing import Any

import pytest
from distillery_operator.cluster import Cluster
from distillery_operator.names import BATCH_JOB, JOB, MODEL, Kind, owner_labels
from distillery_operator.operator import Operator
from job_world import SETTINGS

TARGET = {"spec": {"promoteTo": {"name": "served"}}}
RUNS, IS_OVER = (JOB, "n", "runs"), (JOB, "n", "is-over")
SERVED = (MODEL, "n", "served")


def obj(name: str, version: int, **fields: Any) -> dict[str, Any]:
    metadata = {"namespace": "n", "name": name, "uid": f"uid-{name}", "resourceVersion": str(version)}
    return {"metadata": metadata, "spec": {}, **fields}


class Woken(Operator):
    """An operator that leads, knows a model, a job that runs and one that is over, and works on nothing."""

    def __init__(self) -> None:
        super().__init__(Cluster(None), SETTINGS)
        self.leading.set()
        self.seen(JOB, "ADDED", obj("runs", 1, **TARGET))
        self.seen(JOB, "ADDED", obj("is-over", 1, **TARGET, status={"finishedAt": "2026-01-01T00:00:00Z"}))
        self.seen(MODEL, "ADDED", obj("served", 1, status={"active": {"digest": "a"}}))

    async def by(self, kind: Kind, event: str, changed: dict[str, Any]) -> set[Any]:
        """Who has a pass after the event."""
        for _ in self.queue.waiting():
            self.queue.done(await self.queue.get())
        self.seen(kind, event, changed)
        return set(self.queue.waiting())


@pytest.mark.parametrize(
    ("changed", "woken"),
    [
        (obj("served", 2, status={"active": {"digest": "b"}}), {SERVED, RUNS}),
        (obj("served", 2, spec={"promotion": {}}, status={"active": {"digest": "a"}}), {SERVED, RUNS}),
        (obj("served", 2, status={"active": {"digest": "a"}, "history": [{}]}), {SERVED}),
    ],
    ids=["another student serves", "its gate changed", "it noted a decision"],
)
async def test_a_model_wakes_the_jobs_that_run_when_what_they_read_changed(changed: dict[str, Any], woken: set[Any]):
    assert await Woken().by(MODEL, "MODIFIED", changed) == woken


async def test_a_model_that_goes_and_comes_back_wakes_the_jobs_that_run():
    operator = Woken()
    assert await operator.by(MODEL, "DELETED", obj("served", 2)) == {SERVED, RUNS}
    back = obj("served", 3, status={"active": {"digest": "a"}})
    back["metadata"]["uid"] = "another"
    assert await operator.by(MODEL, "ADDED", back) == {SERVED, RUNS}


async def test_a_job_wakes_its_model_when_it_is_over_and_not_before():
    operator = Woken()
    assert await operator.by(JOB, "MODIFIED", obj("runs", 2, **TARGET, status={"stages": []})) == {RUNS}
    over = obj("runs", 3, **TARGET, status={"finishedAt": "2026-01-01T00:00:00Z"})
    assert await operator.by(JOB, "MODIFIED", over) == {RUNS, SERVED}


async def test_a_child_wakes_its_owner():
    child = obj("runs-preflight-1", 1)
    child["metadata"]["labels"] = owner_labels(JOB, "runs", "uid-runs")
    assert await Woken().by(BATCH_JOB, "MODIFIED", child) == {RUNS}


async def test_a_watch_that_begins_anew_wakes_nobody_for_what_is_known():
    again = obj("served", 1, status={"active": {"digest": "a"}})
    assert await Woken().by(MODEL, "ADDED", again) == set()


async def test_a_standby_queues_nothing_so_that_every_wait_counts_from_the_take_over():
    operator = Operator(Cluster(None), SETTINGS)
    operator.seen(JOB, "ADDED", obj("runs", 1, **TARGET))
    operator.seen(MODEL, "ADDED", obj("served", 1))
    assert operator.queue.waiting() == []
    operator.lead()
    assert set(operator.queue.waiting()) == {RUNS, SERVED}


class Poisoned:
    """Fails over one job."""

    def __init__(self) -> None:
        self.passed: set[Any] = set()

    async def reconcile(self, item: Any) -> None:
        if item == RUNS:
            raise ValueError("poison")
        self.passed.add(item)


async def test_an_object_whose_pass_fails_delays_itself_alone(monkeypatch: pytest.MonkeyPatch):
    operator, reconciler = Woken(), Poisoned()
    monkeypatch.setattr(operator, "reconciler", reconciler)
    for _ in operator.queue.waiting():
        await operator.attempt(await operator.queue.get())
    assert reconciler.passed == {IS_OVER, SERVED}
    assert operator.queue.waiting() == []  # the poisoned one comes back when its time is over
