"""What the operator reads live before it creates a stage's Job."""

import pytest
from distillery_api.summary import Summary
from distillery_operator.cluster import ApiError, Cluster
from distillery_operator.job_running import POD_PATIENCE
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

    async def replace_status(self, kind: Kind, body: Object) -> Object:
        self.calls.append(("status", kind.kind))
        held = self.world.job
        return {**held, "status": body["status"], "metadata": {**held["metadata"], "resourceVersion": str(10**6)}}


async def calls_of_a_pass(world: JobWorld) -> list[tuple[str, str]]:
    cluster = Recorded(world)
    reconciler = Reconciler(cluster, world.store, SETTINGS, lambda kind, obj: None)
    await reconciler.reconcile((JOB, NAMESPACE, "small"))
    return [call for call in cluster.calls if call[1] != "Event"]


async def test_a_first_attempt_is_confirmed_by_the_write_that_tells_of_it():
    assert await calls_of_a_pass(JobWorld()) == [("status", JOB.kind), ("create", BATCH_JOB.kind)]


@pytest.mark.parametrize(("deadline", "seconds"), [({}, POD_PATIENCE), ({"pendingDeadlineSeconds": 5}, 5)])
async def test_a_pass_that_begins_an_attempt_wakes_nobody_and_names_when_to_look_again(
    deadline: dict[str, int], seconds: float
):
    world, woken = JobWorld(stages={"preflight": deadline}), list[Kind]()
    reconciler = Reconciler(Recorded(world), world.store, SETTINGS, lambda kind, obj: woken.append(kind))
    assert await reconciler.reconcile((JOB, NAMESPACE, "small")) == seconds
    assert woken == []


async def test_an_attempt_that_was_told_and_not_created_is_confirmed_by_the_parent():
    world = JobWorld()
    world.step(dies="before the Jobs")
    assert await calls_of_a_pass(world) == [("get", JOB.kind), ("create", BATCH_JOB.kind)]


async def test_a_stage_that_ends_and_the_next_one_are_told_in_one_write_before_its_job_exists():
    world = to_stage(JobWorld(), "train")
    world.end_pod(Summary(stage="train", train=RESULTS["train"]).message())
    world.end_job("Complete")
    assert await calls_of_a_pass(world) == [("status", JOB.kind), ("create", BATCH_JOB.kind)]


async def test_a_later_attempt_is_confirmed_by_jobs_and_pods_too():
    world = to_stage(JobWorld(), "train")
    world.run()
    world.store.remove(BATCH_JOB, (NAMESPACE, world.created[-1]), world.current()["metadata"]["uid"])
    reads = [("get", JOB.kind), ("list", BATCH_JOB.kind), ("list", POD.kind)]
    assert await calls_of_a_pass(world) == [*reads, ("status", JOB.kind), ("create", BATCH_JOB.kind)]


class Late(Recorded):
    """Takes no Job at first."""

    async def create(self, kind: Kind, body: Object) -> Object:
        if ("create", kind.kind) not in self.calls:
            self.calls.append(("create", kind.kind))
            raise ApiError(503, "ServiceUnavailable", "the webhook is away")
        return await super().create(kind, body)

    async def replace_status(self, kind: Kind, body: Object) -> Object:
        written = await super().replace_status(kind, body)
        self.world.put(kind, written)
        return self.world.store.get(kind, (NAMESPACE, "small"))


async def test_a_job_that_is_taken_after_a_delay_wakes_its_parent_so_that_the_delay_is_told_no_more():
    world, woken = JobWorld(), list[Kind]()
    reconciler = Reconciler(Late(world), world.store, SETTINGS, lambda kind, obj: woken.append(kind))
    item = (JOB, NAMESPACE, "small")
    with pytest.raises(ApiError):
        await reconciler.reconcile(item)
    assert world.condition("Reconciling")[1] == "JobNotCreated"
    woken.clear()
    await reconciler.reconcile(item)
    assert woken == [BATCH_JOB]
    await reconciler.reconcile(item)
    assert world.condition("Reconciling")[1] == "Validating"
