"""A child that Kubernetes does not take is told on its parent, and tried again."""

from typing import Any

import pytest
from distillery_api.summary import Summary
from distillery_operator.cluster import ApiError
from distillery_operator.model_plan import RETRY_REFUSED
from distillery_operator.names import BATCH_JOB, DEPLOYMENT, EVENT, JOB, MODEL, SERVICE, Kind
from distillery_operator.plans import Create, Merge
from distillery_operator.reconcile import Reconciler
from distillery_operator.store import Object, key_of
from job_world import NAMESPACE, SETTINGS, JobWorld
from model_world import ModelWorld
from stage_results import RESULTS
from test_confirmation import Recorded
from test_job_plan import to_stage

ITEM = (MODEL, NAMESPACE, "served")
FORBIDDEN = ApiError(403, "Forbidden", 'deployments.apps "served-1" is forbidden: exceeded quota: small')
AWAY = ApiError(500, "InternalError", 'failed calling webhook "policy.example.com": connection refused')
INVALID = ApiError(422, "Invalid", "spec.template.spec.containers[0].resources: Invalid value")


class Grudging(Recorded):
    """Holds what it takes in the world, and does not take the kinds in `refuses`."""

    def __init__(self, world: ModelWorld) -> None:
        self.world = world
        self.refuses: dict[Kind, ApiError] = {}
        self.events: list[str] = []

    async def get(self, kind: Kind, namespace: str | None, name: str) -> Object | None:
        return self.world.store.get(kind, (namespace or "", name))

    async def create(self, kind: Kind, body: Object) -> Object:
        if kind == EVENT:
            self.events.append(body["reason"])
            return body
        if kind in self.refuses:
            raise self.refuses[kind]
        self.world.carry_out(Create(kind, body))
        held: Object = self.world.store.get(kind, key_of(body))
        return held

    async def apply(self, kind: Kind, body: Object) -> Object:
        return await self.create(kind, body)

    async def replace_status(self, kind: Kind, body: Object) -> Object:
        self.world.put(kind, {**self.world.held, "status": body["status"]})
        return self.world.held

    async def merge(
        self, kind: Kind, namespace: str, name: str, body: Object, subresource: str | None = None
    ) -> Object:
        self.world.carry_out(Merge(kind, namespace, name, body, subresource))
        return self.world.held

    async def delete(self, kind: Kind, namespace: str, name: str, uid: str, foreground: bool) -> None:
        assert self.world.store.remove(kind, (namespace, name), uid)


def reconciling(world: ModelWorld) -> tuple[Grudging, Reconciler]:
    cluster = Grudging(world)
    return cluster, Reconciler(cluster, world.store, SETTINGS, lambda kind, obj: None)


async def settle(reconciler: Reconciler) -> None:
    for _ in range(4):
        await reconciler.reconcile(ITEM)


async def test_a_quota_that_keeps_a_models_pods_out_is_told_until_it_goes():
    world = ModelWorld()
    world.finish_job("first", "a")
    cluster, reconciler = reconciling(world)
    cluster.refuses = {DEPLOYMENT: FORBIDDEN}
    assert await reconciler.reconcile(ITEM) == 0.0  # it knows better now: another plan
    assert await reconciler.reconcile(ITEM) == RETRY_REFUSED
    assert world.condition("Stalled")[:2] == ("True", "ChildRefused")
    assert FORBIDDEN.message in world.condition("Stalled")[2]
    assert world.condition("Ready")[:2] == ("False", "ChildRefused")
    cluster.refuses = {}
    await settle(reconciler)
    assert world.condition("Stalled")[0] == "False"
    assert world.condition("Reconciling")[:2] == ("True", "Promoting")


async def test_a_webhook_that_is_away_from_a_models_child_is_told_until_the_child_is_written():
    world = ModelWorld()
    world.finish_job("first", "a")
    cluster, reconciler = reconciling(world)
    cluster.refuses = {DEPLOYMENT: AWAY}
    for _ in range(2):
        with pytest.raises(ApiError, match="failed calling webhook"):
            await reconciler.reconcile(ITEM)
    assert world.condition("Reconciling")[:2] == ("True", "ChildNotWritten")
    assert AWAY.message in world.condition("Reconciling")[2]
    assert world.condition("Ready")[:2] == ("False", "ChildNotWritten")
    assert world.condition("Stalled")[0] == "False"
    cluster.refuses = {}
    await settle(reconciler)
    assert world.condition("Reconciling")[:2] == ("True", "Promoting")


async def test_a_cut_over_that_is_kept_from_the_service_says_who_serves_and_is_told_once():
    world = ModelWorld()
    world.promote("first", "a")
    world.finish_job("second", "b", incumbent="a")
    world.settle()
    world.ready()
    old = world.status["active"]["revision"]
    cluster, reconciler = reconciling(world)
    cluster.refuses = {SERVICE: AWAY}
    for _ in range(2):
        with pytest.raises(ApiError, match="failed calling webhook"):
            await reconciler.reconcile(ITEM)
    assert world.routed_to() == "a"
    assert world.condition("Ready") == ("True", "Serving", f"revision {old} serves, as the Service cannot be changed")
    assert world.condition("Reconciling")[1] == "ChildNotWritten"
    cluster.refuses = {}
    await settle(reconciler)
    assert world.routed_to() == "b"
    assert world.condition("Reconciling")[1] == "Settled"
    assert cluster.events == ["Promoted"]


async def test_a_refusal_for_good_that_follows_one_for_now_is_told_at_once():
    world = ModelWorld()
    world.finish_job("first", "a")
    cluster, reconciler = reconciling(world)
    cluster.refuses = {DEPLOYMENT: AWAY}
    with pytest.raises(ApiError, match="failed calling webhook"):
        await reconciler.reconcile(ITEM)
    cluster.refuses = {DEPLOYMENT: INVALID}
    assert await reconciler.reconcile(ITEM) == 0.0
    assert await reconciler.reconcile(ITEM) == RETRY_REFUSED
    assert world.condition("Stalled")[:2] == ("True", "ChildRefused")


async def test_settings_that_were_refused_hinder_nothing_once_they_are_corrected():
    world = ModelWorld()
    world.promote("first", "a")
    cluster, reconciler = reconciling(world)
    cluster.refuses = {DEPLOYMENT: INVALID}
    good = world.held["spec"]
    world.put(MODEL, {**world.held, "spec": {**good, "serving": {"drainSeconds": 30}}})
    await settle(reconciler)
    assert world.condition("Stalled")[:2] == ("True", "ChildRefused")
    assert world.condition("Ready")[:2] == ("True", "Serving")
    world.put(MODEL, {**world.held, "spec": good})
    await settle(reconciler)
    assert world.condition("Stalled")[:2] == ("False", "Settled")


class Turning(Recorded):
    """Takes no Job of a stage: for now at first, and then for good."""

    def __init__(self, world: JobWorld) -> None:
        super().__init__(world)
        self.errors = [AWAY, INVALID]

    async def create(self, kind: Kind, body: Object) -> Object:
        if kind == BATCH_JOB:
            raise self.errors.pop(0)
        return await super().create(kind, body)

    async def replace_status(self, kind: Kind, body: Object) -> Object:
        self.world.put(JOB, {**self.world.job, "status": body["status"]})
        held: dict[str, Any] = self.world.store.get(JOB, key_of(body))
        return held


async def test_a_job_whose_child_is_refused_for_good_after_a_delay_fails():
    world = JobWorld()
    reconciler = Reconciler(Turning(world), world.store, SETTINGS, lambda kind, obj: None)
    item = (JOB, NAMESPACE, "small")
    with pytest.raises(ApiError, match="failed calling webhook"):
        await reconciler.reconcile(item)
    assert world.condition("Ready")[1] == "JobNotCreated"
    assert await reconciler.reconcile(item) == 0.0
    await reconciler.reconcile(item)
    assert world.condition("Stalled")[:2] == ("True", "ChildRefused")


class WithoutServices(Turning):
    """Takes every Job, and no Service for now."""

    async def create(self, kind: Kind, body: Object) -> Object:
        return await Recorded.create(self, kind, body)

    async def apply(self, kind: Kind, body: Object) -> Object:
        raise ApiError(403, "Forbidden", "exceeded quota: services")


async def test_a_training_whose_service_is_kept_out_by_a_quota_waits_and_says_so():
    world = JobWorld(training={"nodes": 2})
    to_stage(world, "label")
    world.end_pod(Summary(stage="label", label=RESULTS["label"]).message())
    world.end_job("Complete")
    cluster = WithoutServices(world)
    reconciler = Reconciler(cluster, world.store, SETTINGS, lambda kind, obj: None)
    for _ in range(2):
        with pytest.raises(ApiError, match="exceeded quota"):
            await reconciler.reconcile((JOB, NAMESPACE, "small"))
    assert world.condition("Ready")[1] == "JobNotCreated"
    assert "Service small-12345678-train" in world.condition("Ready")[2]
    assert ("create", BATCH_JOB.kind) not in cluster.calls
