"""Kueue is asked for suspended Jobs alone, in selectors of bounded length, and wakes a job when its words change."""

from typing import Any

from distillery_operator.names import BATCH_JOB, JOB, Kind, owner_labels
from distillery_operator.queue_words import QueuePoller
from distillery_operator.store import Key, Store


class Workloads:
    """Answers LISTs of Workloads by the uids in their selector."""

    def __init__(self) -> None:
        self.selectors: list[str] = []
        self.condition: dict[str, str] = {"type": "QuotaReserved", "status": "False", "message": "no quota"}

    async def list(self, kind: Kind, selector: str, namespace: str) -> tuple[list[dict[str, Any]], int]:
        self.selectors.append(selector)
        key, _, uids = selector.partition(" in ")
        labels = [{key: uid} for uid in uids.strip("()").split(",")]
        return [{"metadata": {"labels": label}, "status": {"conditions": [self.condition]}} for label in labels], 1


def store_of(count: int, suspend: bool = True) -> Store:
    store = Store()
    for number in range(count):
        name = f"job-{number}"
        metadata = {
            "namespace": "team", "name": name, "uid": f"uid-{number}", "resourceVersion": "1",
            "labels": owner_labels(JOB, f"parent-{number}", "p"),
        }  # fmt: skip
        store.put(BATCH_JOB, {"metadata": metadata, "spec": {"suspend": suspend}})
    return store


def poller(store: Store, workloads: Workloads) -> tuple[QueuePoller, dict[str, str], list[Key]]:
    words: dict[str, str] = {}
    woken: list[Key] = []
    return QueuePoller(workloads, store, words, woken.append, 1.0), words, woken  # type: ignore[arg-type]


async def test_changed_words_wake_the_job_once():
    workloads = Workloads()
    queues, words, woken = poller(store_of(1), workloads)
    await queues.once()
    await queues.once()
    assert words == {"job-0": "no quota"}
    assert woken == [("team", "parent-0")]
    workloads.condition["message"] = "1 more needed"
    await queues.once()
    assert words == {"job-0": "1 more needed"}
    assert len(woken) == 2


async def test_many_jobs_are_asked_for_in_selectors_of_bounded_length():
    workloads = Workloads()
    queues, words, _ = poller(store_of(120), workloads)
    await queues.once()
    assert len(words) == 120
    assert max(len(selector) for selector in workloads.selectors) < 50 * 37 + 40


async def test_a_job_that_runs_is_not_asked_for_and_its_words_are_forgotten():
    workloads = Workloads()
    store = store_of(1)
    queues, words, _ = poller(store, workloads)
    await queues.once()
    store.remove(BATCH_JOB, ("team", "job-0"), "uid-0")
    await queues.once()
    assert (words, len(workloads.selectors)) == ({}, 1)


async def test_a_workload_that_has_its_quota_and_waits_for_a_check_has_no_words_of_the_queue():
    workloads = Workloads()
    queues, words, woken = poller(store_of(1), workloads)
    await queues.once()
    workloads.condition["status"] = "True"
    await queues.once()
    assert (words, len(woken)) == ({}, 2)
