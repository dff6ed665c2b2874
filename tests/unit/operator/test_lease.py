"""Who may act: the Lease's rules under a clock that the test moves, with two electors and one Lease."""

import copy
from typing import Any

import pytest
from distillery_operator.cluster import ApiError
from distillery_operator.lease import (
    LEASE_DURATION,
    RENEW_DEADLINE,
    Candidate,
    Elector,
    LeaseLostError,
    claimed,
    is_free,
)
from distillery_operator.names import Kind

CREATED = {"metadata": {"namespace": "system", "name": "distillery"}}


class Api:
    """One Lease, guarded by its version as the API server guards it."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self.version = 0
        self.reachable = True

    async def get(self, kind: Kind, namespace: str | None, name: str) -> dict[str, Any] | None:
        self._reach()
        return copy.deepcopy(self.lease)

    async def create(self, kind: Kind, body: dict[str, Any]) -> dict[str, Any]:
        self._reach()
        if self.lease is not None:
            raise ApiError(409, "AlreadyExists", "")
        return self._store(body)

    async def merge(self, kind: Kind, namespace: str, name: str, body: dict[str, Any]) -> dict[str, Any]:
        self._reach()
        if self.lease is None:
            raise ApiError(404, "NotFound", "")
        if body["metadata"]["resourceVersion"] != self.lease["metadata"]["resourceVersion"]:
            raise ApiError(409, "Conflict", "")
        return self._store({**self.lease, "spec": self.lease["spec"] | body["spec"]})

    def _store(self, lease: dict[str, Any]) -> dict[str, Any]:
        self.version += 1
        lease["metadata"] = lease["metadata"] | {"resourceVersion": str(self.version)}
        self.lease = copy.deepcopy(lease)
        return lease

    def _reach(self) -> None:
        if not self.reachable:
            raise ApiError(0, "Unreachable", "")


class World:
    """A clock, an API, and electors that share both; `between` runs in every sleep."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.api = Api()
        self.naps = 0
        self.between = lambda: None

    def elector(self, identity: str) -> Elector:
        return Elector(self.api, Candidate("system", "distillery", identity), lambda: self.time, self.sleep)

    async def sleep(self, seconds: float) -> None:
        assert self.naps < 1000, "it sleeps for ever"
        self.naps += 1
        self.time += seconds
        self.between()

    def holder(self) -> str:
        return self.api.lease["spec"]["holderIdentity"] if self.api.lease else ""


@pytest.fixture
def world() -> World:
    return World()


HELD = {"holderIdentity": "a", "leaseDurationSeconds": 15}


@pytest.mark.parametrize(
    ("spec", "unchanged", "free"),
    [
        pytest.param({}, 0, True, id="nobody ever held it"),
        pytest.param({**HELD, "holderIdentity": ""}, 0, True, id="it was given back"),
        pytest.param(HELD, 14.9, False, id="its holder may still lead"),
        pytest.param(HELD, 15, True, id="its holder has been silent for as long as it promised"),
        pytest.param({**HELD, "leaseDurationSeconds": 60}, 15, False, id="its holder promised longer than we would"),
        pytest.param({"holderIdentity": "b"}, 0, True, id="it is our own, from before a restart"),
    ],
)
def test_a_lease_is_free_when(spec, unchanged, free):
    assert is_free(spec, "b", unchanged) is free


def test_a_new_holder_is_counted_and_a_renewal_is_not():
    first = claimed({}, "a", "t0")
    renewed = claimed(first, "a", "t1")
    taken = claimed(renewed, "b", "t2")
    assert [spec["leaseTransitions"] for spec in (first, renewed, taken)] == [1, 1, 2]
    assert [spec["acquireTime"] for spec in (first, renewed, taken)] == ["t0", "t0", "t2"]
    assert [spec["renewTime"] for spec in (first, renewed, taken)] == ["t0", "t1", "t2"]


async def test_the_first_one_creates_the_lease_and_the_second_waits(world):
    first, second = world.elector("a"), world.elector("b")
    assert await first.attempt()
    assert not await second.attempt()
    assert first.left() == RENEW_DEADLINE
    assert second.left() <= 0


async def test_a_silent_holder_stops_writing_before_another_leads(world):
    first, second = world.elector("a"), world.elector("b")
    await first.attempt()
    silent_since, stopped = world.time, []

    def look() -> None:
        if first.left() <= 0:
            stopped.append(world.time)

    world.between = look
    await second.acquire()
    assert world.holder() == "b"
    assert stopped[0] - silent_since == pytest.approx(RENEW_DEADLINE, abs=0.5)
    assert LEASE_DURATION <= world.time - silent_since <= LEASE_DURATION + 1
    assert second.left() == RENEW_DEADLINE


async def test_a_renewal_that_is_seen_late_still_counts_from_when_it_was_seen(world):
    first, second = world.elector("a"), world.elector("b")
    await first.attempt()
    world.time += 9
    await second.attempt()  # sees the Lease for the first time: it may have been renewed just now
    world.time += 14
    assert not await second.attempt()
    world.time += 1
    assert await second.attempt()


async def test_a_wall_clock_of_another_year_changes_nothing(world):
    first, second = world.elector("a"), world.elector("b")
    await first.attempt()
    world.api.lease["spec"] |= {"renewTime": "1999-01-01T00:00:00.000000Z"}
    await second.attempt()
    world.time += 14
    assert not await second.attempt()


async def test_what_is_given_back_is_taken_at_the_next_look(world):
    first, second = world.elector("a"), world.elector("b")
    await first.attempt()
    await second.attempt()
    await first.release()
    assert first.left() <= 0
    assert await second.attempt()


async def test_it_is_given_back_although_a_renewal_was_interrupted_and_came_through(world):
    first, second = world.elector("a"), world.elector("b")
    await first.attempt()
    merge, late = world.api.merge, [{"renewTime": "later"}]

    async def behind_a_renewal(kind: Kind, namespace: str, name: str, body: dict[str, Any]) -> dict[str, Any]:
        if late:
            world.api._store({**world.api.lease, "spec": world.api.lease["spec"] | late.pop()})
        return await merge(kind, namespace, name, body)

    world.api.merge = behind_a_renewal
    await first.release()
    assert world.holder() == ""
    assert await second.attempt()


async def test_one_that_stands_by_gives_nothing_back_that_is_not_its_own(world):
    first, second = world.elector("a"), world.elector("b")
    await first.attempt()
    await second.attempt()
    await second.release()
    assert world.holder() == "a"


async def test_a_holder_without_an_answer_gives_up_at_its_deadline(world):
    first = world.elector("a")
    await first.acquire()
    world.api.reachable, since = False, world.time
    with pytest.raises(LeaseLostError, match="system/distillery"):
        await first.hold()
    assert world.time - since == RENEW_DEADLINE


async def test_a_holder_survives_a_short_outage_and_a_foreign_edit_of_the_lease(world):
    first = world.elector("a")
    await first.acquire()

    def disturb() -> None:
        world.api.reachable = not 3 <= world.naps % 7 <= 5
        if world.naps % 11 == 0:
            world.api._store({**world.api.lease, "metadata": world.api.lease["metadata"] | {"labels": {"by": "hand"}}})
        if world.naps == 200:
            raise KeyboardInterrupt  # the end of the test

    world.between = disturb
    with pytest.raises(KeyboardInterrupt):
        await first.hold()
    assert first.left() > 0


async def test_a_holder_that_finds_another_name_in_the_lease_stops_at_once(world):
    first = world.elector("a")
    await first.acquire()
    world.api.lease["spec"]["holderIdentity"] = "b"
    world.api._store(world.api.lease)
    since = world.time
    with pytest.raises(LeaseLostError):
        await first.hold()
    assert world.time - since <= 4


async def test_a_lease_deleted_by_hand_stays_with_its_holder(world):
    first, second = world.elector("a"), world.elector("b")
    await first.attempt()
    await second.attempt()
    world.api.lease = None
    world.time += 1
    assert not await second.attempt()
    assert not await first._tried(3)  # its renewal finds nothing, and it looks again
    assert await first._tried(3)
    assert world.holder() == "a"


async def test_of_two_that_see_a_free_lease_one_gets_it(world):
    first, second = world.elector("a"), world.elector("b")
    world.api._store({**CREATED, "spec": {}})
    free = await world.api.get(None, None, "")
    assert await first.attempt()
    second._own = free  # what it read before the first one wrote
    assert not await second._tried(3)
    assert world.holder() == "a"
