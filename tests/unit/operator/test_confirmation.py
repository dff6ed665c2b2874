"""What the operator reads live before it creates a stage's Job."""

from distillery_api.summary import Summary
from distillery_operator.cluster import Cluster
from distillery_operator.names import BATCH_JOB, JOB, POD, Kind
from distillery_operator.reconcile import Reconciler
from distillery_operator.store import Object
from job_world import NAMESPACE, SETTINGS, JobWorld
from stage_results import RESULTS
from test_job_plan import to_stage


class Recorded(Cluster):
    """Answers from the world's store, and remembers what was asked."""

    def __init__(self, world: JobWorld) -> None:
        self.world = world
        self.calls: list[tuple[str, str]] = []

    async def get(self, kind: Kind, namespace: str | None, name: str) -> Object | None:
        self.calls.append(("get", kind.kind))
        return self.world.store.get(kind, (namespace or "", name))

    async def list(self, kind: Kind, selector: str | None, namespace: str | None = None) -> tuple[list[Object], int]:
        self.calls.append(("list", kind.kind))
        return self.world.store.all(kind), 10**6

    async def create(self, kind: Kind, body: Object) -> Object:
        self.calls.append(("create", kind.kind))
        return {**body, "metadata": {**body["metadata"], "uid": "new", "resourceVersion": "999999"}}

    async def apply(self, kind: Kind, body: Object, subresource: str | None = None) -> Object:
        self.calls.append(("apply", kind.kind))
        held = self.world.job
        return {**held, "status": body["status"], "metadata": {**held["metadata"], "resourceVersion": str(10**6)}}


async def calls_of_a_pass(world: JobWorld) -> list[tuple[str, str]]:
    cluster = Recorded(world)
    reconciler = Reconciler(cluster, world.store, SETTINGS, lambda kind, obj: None)
    await reconciler.reconcile((JOB, NAMESPACE, "small"))
    return [call for call in cluster.calls if call[1] != "Event"]


async def test_a_first_attempt_is_confirmed_by_the_parent_alone():
    world = JobWorld()
    world.step()
    assert await calls_of_a_pass(world) == [("get", JOB.kind), ("create", BATCH_JOB.kind)]


async def test_the_pass_that_sees_the_first_job_tells_its_number_and_name():
    world = JobWorld()
    world.step()
    world.step()
    assert world.stage("preflight").get("jobName") is None
    assert await calls_of_a_pass(world) == [("apply", JOB.kind)]
    assert world.stage("preflight")["jobName"] == world.created[0]


async def test_a_stage_that_ends_and_the_next_one_are_told_in_one_write():
    world = to_stage(JobWorld(), "train")
    world.end_pod(Summary(stage="train", train=RESULTS["train"]).message())
    world.end_job("Complete")
    assert await calls_of_a_pass(world) == [("get", JOB.kind), ("create", BATCH_JOB.kind), ("apply", JOB.kind)]


async def test_a_later_attempt_is_confirmed_by_jobs_and_pods_too():
    world = to_stage(JobWorld(), "train")
    world.store.remove(BATCH_JOB, (NAMESPACE, world.created[-1]), world.current()["metadata"]["uid"])
    calls = await calls_of_a_pass(world)
    assert calls[:4] == [("get", JOB.kind), ("list", BATCH_JOB.kind), ("list", POD.kind), ("create", BATCH_JOB.kind)]
