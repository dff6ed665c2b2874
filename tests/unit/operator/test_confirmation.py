"""What the operator reads live before it creates a stage's Job."""

from typing import Any

from distillery_operator.cluster import Cluster
from distillery_operator.names import BATCH_JOB, JOB, POD, Kind
from distillery_operator.reconcile import Reconciler
from distillery_operator.store import Object
from job_world import NAMESPACE, SETTINGS, JobWorld
from test_job_plan import to_stage


class Recorded(Cluster):
    """Answers from the world's store, and remembers what was asked."""

    def __init__(self, world: JobWorld) -> None:
        self.world = world
        self.calls: list[tuple[str, str]] = []

    async def get(self, kind: Kind, namespace: str | None, name: str) -> Object | None:
        self.calls.append(("get", kind.kind))
        return self.world.job

    async def list(self, kind: Kind, selector: str | None, namespace: str | None = None) -> tuple[list[Object], int]:
        self.calls.append(("list", kind.kind))
        return self.world.store.all(kind), 10**6

    async def create(self, kind: Kind, body: Object) -> Object:
        self.calls.append(("create", kind.kind))
        return {**body, "metadata": {**body["metadata"], "uid": "new", "resourceVersion": "999999"}}

    async def apply(self, kind: Kind, body: Object, subresource: str | None = None) -> Object:
        self.calls.append(("apply", kind.kind))
        return {**self.world.job, **body}


async def calls_of_a_pass(world: JobWorld) -> list[tuple[str, str]]:
    cluster = Recorded(world)
    reconciler = Reconciler(cluster, world.store, SETTINGS, lambda kind, obj: None)
    await reconciler.reconcile((JOB, NAMESPACE, "small"))
    return [call for call in cluster.calls if call[1] != "Event"]


async def test_a_first_attempt_is_confirmed_by_the_parent_alone():
    world = JobWorld()
    world.step()
    job: Any = JOB.kind
    assert await calls_of_a_pass(world) == [("get", job), ("create", BATCH_JOB.kind), ("apply", job)]


async def test_a_later_attempt_is_confirmed_by_jobs_and_pods_too():
    world = to_stage(JobWorld(), "train")
    world.store.remove(BATCH_JOB, (NAMESPACE, world.created[-1]), world.current()["metadata"]["uid"])
    calls = await calls_of_a_pass(world)
    assert calls[:4] == [("get", JOB.kind), ("list", BATCH_JOB.kind), ("list", POD.kind), ("create", BATCH_JOB.kind)]
