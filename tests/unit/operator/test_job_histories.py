"""Planning of a job holds its promises whatever happens in whatever order."""

import copy
from collections.abc import Callable
from typing import Any

from distillery_api.distillationjob_status import DistillationJobStatus
from distillery_api.schema import Failure
from distillery_api.summary import Summary
from distillery_operator.job_plan import LOST_LIMIT
from distillery_operator.names import BATCH_JOB, JOB, MODEL, POD, Kind
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from hypothesis.strategies import booleans, sampled_from
from job_world import NAMESPACE, JobWorld
from recorded_states import is_readable, obscure, reveal
from stage_results import DIGESTS, RESULTS, preflight

STAGES = ("preflight", "label", "train", "compress", "evaluate")


class JobHistory(RuleBasedStateMachine):
    """A DistillationJob, somebody with kubectl, a Job controller, and an operator that dies now and then."""

    def __init__(self) -> None:
        super().__init__()
        self.world = JobWorld(stages={stage: {"retries": {"outOfMemory": 1}} for stage in STAGES})
        self.ended: dict[str, Any] | None = None

    def jobs(self) -> list[dict[str, Any]]:
        return self.world.store.all(BATCH_JOB)

    def running(self) -> list[dict[str, Any]]:
        return [job for job in self.jobs() if not job.get("status", {}).get("conditions")]

    @rule(dies=sampled_from(("", "before the status", "before the Jobs")))
    def plan(self, dies: str) -> None:
        existing = {job["metadata"]["name"] for job in self.jobs()}
        plan = self.world.step(dies)
        DistillationJobStatus.model_validate(plan.status)
        created = {job.body["metadata"]["name"] for job in plan.jobs}
        assert all(name in str(plan.status["stages"]) for name in created), "creates what the status does not tell of"
        assert not existing & created, "creates what exists"
        assert not created or not self.world.job["spec"].get("suspend"), "starts a stage of a suspended job"
        model = self.world.store.get(MODEL, (NAMESPACE, "served"))
        assert model is None or is_readable(model) or not any("-evaluate-" in name for name in created)
        if self.ended is not None:
            assert (plan.actions, plan.jobs) == ((), ())
            assert plan.status == self.ended
        if dies != "before the status" and "finishedAt" in plan.status:
            self.ended = plan.status

    @rule()
    def settle(self) -> None:
        self.world.settle()
        assert (self.world.plan().actions, self.world.plan().jobs) == ((), ())
        if "finishedAt" in self.world.status:
            self.ended = self.world.status

    @precondition(lambda self: self.running())
    @rule(state=sampled_from(("Pending", "Running")))
    def a_pod_is_seen(self, state: str) -> None:
        self.world.pod(phase=state)

    @precondition(lambda self: self.running())
    @rule(readable=booleans(), missing=sampled_from((0, 120)), result=sampled_from(("Pass", "Fail", "Inconclusive")))
    def the_stage_ends_well(self, readable: bool, missing: int, result: str) -> None:
        self.take_current()
        self.world.end_pod(self.word(missing, result) if readable else "Killed")
        self.world.end_job("Complete")

    @precondition(lambda self: self.running())
    @rule(told=booleans())
    def the_stage_fails(self, told: bool) -> None:
        self.take_current()
        failure = Summary(stage=self.stage(), failure=Failure(reason="EmptyText", message="row 3 has no text"))
        self.world.end_pod(failure.message() if told else "", code=65 if told else 137)
        self.world.end_job("Failed", reason="PodFailurePolicy", message="pod failed")

    @precondition(lambda self: self.running())
    @rule()
    def memory_runs_out(self) -> None:
        self.take_current()
        self.world.end_pod("", code=137, reason="OOMKilled")

    @precondition(lambda self: any("deletionTimestamp" in job["metadata"] for job in self.jobs()))
    @rule()
    def a_job_that_leaves_is_gone(self) -> None:
        self.remove(next(job for job in self.jobs() if "deletionTimestamp" in job["metadata"]))

    @precondition(lambda self: self.ended is None)
    @rule(value=booleans())
    def the_user_suspends_or_resumes(self, value: bool) -> None:
        self.world.edit(suspend=value)

    @precondition(lambda self: self.jobs())
    @rule(which=sampled_from((0, -1)))
    def somebody_deletes_a_job(self, which: int) -> None:
        self.remove(self.jobs()[which])

    def remove(self, job: dict[str, Any]) -> None:
        uid = job["metadata"]["uid"]
        self.world.store.remove(BATCH_JOB, (NAMESPACE, job["metadata"]["name"]), uid)
        for pod in self.world.store.all(POD):
            if pod["metadata"]["ownerReferences"][0]["uid"] == uid:
                self.lose(pod)

    @precondition(lambda self: self.world.store.all(POD))
    @rule()
    def a_pod_is_lost(self) -> None:
        self.lose(self.world.store.all(POD)[-1])

    @rule(digest=sampled_from((None, DIGESTS["incumbent"], DIGESTS["report"])))
    def another_student_serves(self, digest: str | None) -> None:
        self.world.serve(digest)

    @precondition(lambda self: self.world.store.get(MODEL, (NAMESPACE, "served")))
    @rule()
    def the_model_is_deleted(self) -> None:
        self.world.store.remove(MODEL, (NAMESPACE, "served"), "m")

    @precondition(lambda self: self.world.store.get(MODEL, (NAMESPACE, "served")))
    @rule(change=sampled_from((obscure, reveal)))
    def the_model_cannot_be_read_or_can_again(self, change: Callable[[JobWorld, Kind, str], None]) -> None:
        change(self.world, MODEL, "served")

    @rule()
    def the_status_is_lost(self) -> None:
        self.world.put(JOB, {**self.world.job, "status": {}})
        self.ended = None

    @invariant()
    def no_two_jobs_of_a_stage_run(self) -> None:
        running = self.world.running_stages()
        assert len(running) == len(set(running)), running

    @invariant()
    def repetitions_are_bounded(self) -> None:
        retries = [stage.get("retries", {}) for stage in self.world.status.get("stages", ())]
        assert all(each.get("lost", 0) <= LOST_LIMIT for each in retries)
        assert all(each.get("outOfMemory", 0) <= 1 for each in retries)

    @invariant()
    def the_conditions_do_not_contradict_each_other(self) -> None:
        true = {c["type"] for c in self.world.status.get("conditions", ()) if c["status"] == "True"}
        assert not {"Reconciling", "Stalled"} <= true
        assert not {"Reconciling", "Ready"} <= true

    def take_current(self) -> None:
        """Pods and ends of Jobs belong to the one that runs."""
        self.world.created.append(self.running()[0]["metadata"]["name"])

    def stage(self) -> str:
        stage: str = self.world.current()["metadata"]["labels"]["distillery.dev/stage"]
        return stage

    def word(self, missing: int, result: str) -> str:
        """What the stage's worker says; its verdict is about this run and what serves now."""
        stage = self.stage()
        found = preflight(missing) if stage == "preflight" else RESULTS.get(stage)
        if stage == "evaluate" and "resolved" in self.world.status:
            model = self.world.store.get(MODEL, (NAMESPACE, "served")) or {}
            incumbent = model.get("status", {}).get("active", {}).get("digest")
            found = self.world.verdict(result, incumbent_digest=incumbent)
        return Summary(stage=stage, **{stage: found}).message() if found else "unreadable"

    def lose(self, pod: dict[str, Any]) -> None:
        pod = copy.deepcopy(pod)
        self.world.store.remove(POD, (NAMESPACE, pod["metadata"]["name"]), pod["metadata"]["uid"])


JobHistory.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestJobHistory = JobHistory.TestCase
