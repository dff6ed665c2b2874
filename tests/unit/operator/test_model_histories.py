"""Planning of a model holds its promises whatever happens in whatever order."""

from collections.abc import Callable

from distillery_api.distilledmodel import DistilledModelStatus
from distillery_api.schema import Failure
from distillery_operator.names import AUTOSCALER, DEPLOYMENT, JOB, MODEL, SERVICE, Kind
from distillery_operator.offers import HISTORY
from distillery_operator.plans import Delete
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from hypothesis.strategies import booleans, integers, sampled_from
from job_world import NAMESPACE
from model_world import ModelWorld
from recorded_states import obscure, reveal

SIZES = ({"replicas": 2}, {"autoscaling": {"minReplicas": 1, "maxReplicas": 3}}, {"replicas": 1})


class ModelHistory(RuleBasedStateMachine):
    """A DistilledModel, jobs that end, servers that come up or not, and somebody with kubectl."""

    def __init__(self) -> None:
        super().__init__()
        self.world = ModelWorld()
        self.passed: set[str] = set()  # digests
        self.jobs = 0
        self.status_is_behind = False  # the operator died between the note of a cut-over and its status

    @property
    def active(self) -> str | None:
        digest: str | None = self.world.status.get("active", {}).get("digest")
        return digest

    @rule(status_is_written=booleans())
    def plan(self, status_is_written: bool) -> None:
        service = self.world.store.get(SERVICE, (NAMESPACE, "served"))
        plan = self.world.step(status_is_written)
        self.status_is_behind = not status_is_written
        DistilledModelStatus.model_validate(plan.status)
        if service is not None:
            routed = service["spec"]["selector"]["distillery.dev/revision"]
            deleted = [a.name for a in plan.actions if isinstance(a, Delete) and a.kind == DEPLOYMENT]
            assert f"served-{routed}" not in deleted, "deletes what callers are routed to"

    @rule()
    def settle(self) -> None:
        self.world.settle()
        self.status_is_behind = False

    @rule(artifact=sampled_from("abcd"), current=booleans(), result=sampled_from(("Pass", "Pass", "Fail")))
    def a_job_ends(self, artifact: str, current: bool, result: str) -> None:
        self.jobs += 1
        incumbent = self.active[-1] if self.active and current else None
        self.world.finish_job(f"job-{self.jobs}", artifact, incumbent, result)
        if result == "Pass":
            self.passed.add("sha256:" + artifact * 64)

    @rule()
    def servers_are_ready(self) -> None:
        self.world.ready()

    @rule(seconds=integers(1, 60))
    def time_passes(self, seconds: int) -> None:
        self.world.clock += seconds

    @precondition(lambda self: self.world.store.all(DEPLOYMENT))
    @rule()
    def a_server_refuses_its_artifact(self) -> None:
        self.world.refuse(self.world.artifact_of(self.world.store.all(DEPLOYMENT)[-1]), "damaged")

    @rule(kind=sampled_from((DEPLOYMENT, SERVICE, AUTOSCALER)))
    def somebody_deletes_a_child(self, kind) -> None:
        for obj in self.world.store.all(kind)[-1:]:
            self.world.store.remove(kind, (NAMESPACE, obj["metadata"]["name"]), obj["metadata"]["uid"])

    @rule(serving=sampled_from(SIZES))
    def somebody_changes_the_size(self, serving: dict) -> None:
        self.world.put(MODEL, {**self.world.held, "spec": {"task": "text-classification", "serving": serving}})

    @rule()
    def a_name_is_taken_or_free_again(self) -> None:
        taken = {"served": Failure(reason="NameTaken", message="a Service served of another owner exists")}
        self.world.refused = {} if self.world.refused else taken

    @precondition(lambda self: self.jobs)
    @rule(number=integers(1, 8), change=sampled_from((obscure, reveal)))
    def a_job_cannot_be_read_or_can_again(self, number: int, change: Callable[[ModelWorld, Kind, str], None]) -> None:
        change(self.world, JOB, f"job-{min(number, self.jobs)}")

    @precondition(lambda self: self.jobs)
    @rule()
    def a_finished_job_is_restored(self) -> None:
        self.world.restore_job(self.world.store.all(JOB)[-1]["metadata"]["name"])

    @rule()
    def the_status_is_lost(self) -> None:
        self.world.put(MODEL, {**self.world.held, "status": {}})

    @invariant()
    def only_what_passed_serves(self) -> None:
        assert self.active is None or self.active in self.passed

    @invariant()
    def what_serves_is_noted_on_the_object(self) -> None:
        if self.active and not self.status_is_behind:
            assert self.active in self.world.held["metadata"]["annotations"]["distillery.dev/active"]

    @invariant()
    def the_history_is_bounded(self) -> None:
        assert len(self.world.status.get("history", ())) <= HISTORY

    @invariant()
    def the_conditions_do_not_contradict_each_other(self) -> None:
        true = {c["type"] for c in self.world.status.get("conditions", ()) if c["status"] == "True"}
        assert not {"Reconciling", "Stalled"} <= true


ModelHistory.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestModelHistory = ModelHistory.TestCase
