"""The Job controller's events are read for Jobs without a pod alone, and wake a job when the words change."""

from typing import Any

import pytest
from distillery_operator.names import BATCH_JOB, EVENT, JOB, Kind, owner_labels
from distillery_operator.pod_words import PodPoller, is_podless
from distillery_operator.store import Key, Store

LONG_AGO, SOON_AFTER, LATER = "2026-01-01T00:00:00Z", "2026-01-01T00:00:05Z", "2026-01-01T00:00:10Z"
NAME = "a-job-whose-name-is-as-long-as-it-may-be-12345678-preflight-1"
FORBIDDEN = 'Error creating: pods "{}" is forbidden: exceeded quota: small'


def job(**fields: Any) -> dict[str, Any]:
    metadata = {
        "namespace": "team", "name": NAME, "uid": "uid", "resourceVersion": "1", "creationTimestamp": LONG_AGO,
        "labels": owner_labels(JOB, "parent", "p"),
    }  # fmt: skip
    return {"metadata": metadata, "spec": {}, "status": {"startTime": LONG_AGO}} | fields


def event(message: str, uid: str = "uid", at: str | None = LONG_AGO) -> dict[str, Any]:
    metadata = {"creationTimestamp": LONG_AGO}
    return {"metadata": metadata, "involvedObject": {"uid": uid}, "message": message, "lastTimestamp": at}


class Events:
    """Answers LISTs of events."""

    def __init__(self, *events: dict[str, Any]) -> None:
        self.events = list(events)
        self.asked: list[tuple[Kind, str, str]] = []

    async def list(self, kind: Kind, selector: None, namespace: str, fields: str) -> tuple[list[dict[str, Any]], int]:
        self.asked.append((kind, namespace, fields))
        return self.events, 1


def poller(events: Events, *jobs: dict[str, Any]) -> tuple[PodPoller, dict[str, str], list[Key]]:
    store, words, woken = Store(), {}, []
    for each in jobs:
        store.put(BATCH_JOB, each)
    return PodPoller(events, store, words, woken.append, 1.0), words, woken  # type: ignore[arg-type]


async def test_the_last_words_about_the_job_wake_it_once_whatever_the_pods_are_called():
    events = Events(
        event("an older one"), event("of another Job", uid="other", at="2026-01-02T00:00:00Z"),
        event(FORBIDDEN.format(f"{NAME[:58]}abcde"), at=LATER),
    )  # fmt: skip
    pods, words, woken = poller(events, job())
    await pods.once()
    events.events.append(
        event("(combined from similar events): " + FORBIDDEN.format(f"{NAME[:58]}fghij"), at="2026-01-01T00:00:20Z")
    )
    await pods.once()
    assert words == {NAME: FORBIDDEN.format(f"{NAME}-*")}
    assert woken == [("team", "parent")]
    assert set(events.asked) == {(EVENT, "team", "involvedObject.kind=Job,reason=FailedCreate")}


async def test_events_that_have_expired_leave_no_words():
    events = Events(event("exceeded quota", at=None))
    pods, words, woken = poller(events, job())
    await pods.once()
    events.events.clear()
    await pods.once()
    assert (words, len(woken)) == ({}, 2)


async def test_nothing_is_asked_while_every_job_has_its_pod():
    events = Events()
    pods, words, _ = poller(events, job(status={"startTime": LONG_AGO, "active": 1}))
    words[NAME] = "exceeded quota"
    await pods.once()
    assert (events.asked, words) == ([], {})


@pytest.mark.parametrize(
    ("fields", "now", "podless"),
    [
        ({}, LATER, True),
        ({}, SOON_AFTER, False),
        ({"status": {}}, LATER, True),
        ({"spec": {"suspend": True}}, LATER, False),
        ({"status": {"failed": 1}}, LATER, False),
        ({"status": {"succeeded": 1}}, LATER, False),
        ({"status": {"conditions": [{"type": "Suspended", "status": "True"}]}}, LATER, False),
        ({"status": {"conditions": [{"type": "Failed", "status": "True"}]}}, LATER, False),
    ],
    ids=["for a while", "not for long", "not seen by its controller", "held by a queue", "its pod failed", "it ended",
         "not let go yet", "it failed"],
)  # fmt: skip
def test_which_jobs_should_have_a_pod_and_have_none(fields: dict[str, Any], now: str, podless: bool):
    assert is_podless(job(**fields), now) is podless
