"""A DistillationJob and its children without a cluster: pods end as the test says, plans are carried out on dicts."""

import copy
from typing import Any

from distillery_api.distillationjob_status import VerdictStatus
from distillery_api.exits import PERMANENT
from distillery_api.schema import Failure
from distillery_api.summary import Summary
from distillery_operator.job_pass import Words
from distillery_operator.job_plan import plan_job
from distillery_operator.names import BATCH_JOB, JOB, MODEL, POD, STAGE
from distillery_operator.plans import Apply, Create, Delete, Plan
from distillery_operator.settings import Settings
from distillery_operator.store import Store
from distillery_operator.views import job_view
from stage_results import DIGESTS, RESULTS, criterion, job_spec

SETTINGS = Settings(worker_image="registry/worker@sha256:1", server_image="registry/server@sha256:2")
NAMESPACE = "team"


class JobWorld:
    """One job, its model, and what Kubernetes would hold."""

    def __init__(self, settings: Settings = SETTINGS, **changes: Any) -> None:
        self.settings = settings
        self.store = Store()
        self.clock = 0
        self.version = 1
        self.created: list[str] = []
        self.bodies: dict[str, dict[str, Any]] = {}  # of Jobs as they were created; the store keeps less
        self.notes: list[str] = []
        self.refused: dict[str, Failure] = {}
        self.words = Words()
        self.applied: dict[str, dict[str, Any]] = {}  # what is not created once, by name
        self.remembered: str | None = None  # the newest Job that the operator's process has seen come into being
        self.job = {
            "apiVersion": JOB.api_version, "kind": "DistillationJob", "spec": job_spec(**changes),
            "metadata": {"name": "small", "namespace": NAMESPACE, "uid": "12345678-aaaa", "generation": 1},
        }  # fmt: skip
        self.put(JOB, self.job)

    @property
    def now(self) -> str:
        """The time of this pass."""
        return f"2026-01-01T00:{self.clock // 60:02d}:{self.clock % 60:02d}Z"

    @property
    def status(self) -> dict[str, Any]:
        """The job's status."""
        return self.store.get(JOB, (NAMESPACE, "small")).get("status", {})

    def put(self, kind: Any, obj: dict[str, Any]) -> None:
        """Store a newer version of the object."""
        self.version += 1
        obj["metadata"]["resourceVersion"] = str(self.version)
        self.store.put(kind, copy.deepcopy(obj))

    def serve(self, digest: str | None) -> None:
        """A model exists and serves the artifact with that digest, or nothing yet."""
        active = {
            "revision": "r1", "uri": "s3://bucket/old", "digest": digest, "interface": DIGESTS["interface"],
        }  # fmt: skip
        self.put(MODEL, {
            "apiVersion": MODEL.api_version, "kind": "DistilledModel", "spec": {"task": "text-classification"},
            "metadata": {"name": "served", "namespace": NAMESPACE, "uid": "m", "generation": 1},
            "status": {"active": active} if digest else {},
        })  # fmt: skip

    def plan(self) -> Plan:
        """Plan without carrying anything out."""
        job = self.store.get(JOB, (NAMESPACE, "small"))
        view = job_view(job, self.store, {}, self.refused, self.words, self.remembered)
        return plan_job(view, self.settings, self.now)

    def step(self, dies: str = "") -> Plan:
        """Plan once and carry the plan out; the operator may die before it writes the status, or before the Jobs."""
        self.clock += 1
        plan = self.plan()
        for action in plan.actions:
            if isinstance(action, Apply):
                self.applied[action.body["metadata"]["name"]] = action.body
            else:
                assert isinstance(action, Delete), action
                self.leave(action.name)
        if dies != "before the status":
            self.put(JOB, {**self.job, "status": plan.status})
            self.notes += [note.reason for note in plan.notes]
        if dies:
            self.remembered = None
        else:
            for job in plan.jobs:
                self.create(job)
        return plan

    def create(self, job: Create) -> None:
        """Kubernetes takes a new Job, unless it is refused for now."""
        body = copy.deepcopy(job.body)
        assert body["metadata"]["labels"][STAGE] not in self.running_stages(), "two Jobs of a stage at once"
        name = body["metadata"]["name"]
        if name in self.refused:
            return
        again = f"-{self.created.count(name)}" if name in self.created else ""
        body["metadata"] |= {"uid": f"uid-{name}{again}", "creationTimestamp": self.now}
        self.created.append(name)
        self.remembered = name
        self.bodies[name] = body
        self.put(BATCH_JOB, body)

    def leave(self, name: str) -> None:
        """The Job is marked as being deleted; it is there until its pods are gone."""
        job = copy.deepcopy(self.store.get(BATCH_JOB, (NAMESPACE, name)))
        job["metadata"]["deletionTimestamp"] = self.now
        self.put(BATCH_JOB, job)

    def gone(self) -> None:
        """The current Job and its pods are gone from the cluster."""
        name = self.current()["metadata"]["name"]
        for pod in self.store.all(POD):
            if pod["metadata"]["name"].startswith(name):
                self.store.remove(POD, (NAMESPACE, pod["metadata"]["name"]), pod["metadata"]["uid"])
        self.store.remove(BATCH_JOB, (NAMESPACE, name), self.current()["metadata"]["uid"])
        self.settle()

    def running_stages(self) -> list[str]:
        """Stages whose Job has not ended."""
        jobs = [job for job in self.store.all(BATCH_JOB) if not job.get("status", {}).get("conditions")]
        return [job["metadata"]["labels"][STAGE] for job in jobs]

    def running_jobs(self) -> list[str]:
        """Jobs that have not ended."""
        return [
            job["metadata"]["name"]
            for job in self.store.all(BATCH_JOB)
            if not {c["type"] for c in job.get("status", {}).get("conditions", ())} & {"Complete", "Failed"}
        ]

    def edit(self, **spec: Any) -> None:
        """The user edits the spec; nobody has looked at it yet."""
        self.job["spec"] |= spec
        self.job["metadata"]["generation"] += 1
        self.put(JOB, {**self.job, "status": self.status})

    def change(self, **spec: Any) -> None:
        """The user edits the spec and the operator acts on it."""
        self.edit(**spec)
        self.settle()

    def hold_in_queue(self, queue: str | None = None) -> None:
        """A queue suspends the current Job; `queue`: the one that the cluster names for it."""
        self.suspend(True, None)
        if queue:
            job = copy.deepcopy(self.current())
            job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] = queue
            self.put(BATCH_JOB, job)

    def let_go(self, start: str | None = None) -> None:
        """The queue admits the current Job; `start`: when its controller sees that, if it has."""
        self.suspend(False, start)
        self.settle()

    def suspend(self, suspend: bool, start: str | None) -> None:
        """What a queue and the Job controller write on a Job; without a start it counts as suspended."""
        job = copy.deepcopy(self.current())
        job["spec"]["suspend"] = suspend
        condition = {"type": "Suspended", "status": "False" if start else "True", "lastTransitionTime": self.now}
        job["status"] = {"conditions": [condition]} | ({"startTime": start} if start else {})
        self.put(BATCH_JOB, job)

    def run(self, at: str | None = None, index: int = 0) -> None:
        """A pod of the current Job runs."""
        state = {"running": {"startedAt": at or self.now}}
        self.pod(index, phase="Running", containerStatuses=[{"imageID": "sha256:image", "state": state}])
        self.settle()

    def stage(self, name: str) -> dict[str, Any]:
        """A stage of the status."""
        found: dict[str, Any] = next(stage for stage in self.status["stages"] if stage["name"] == name)
        return found

    def settle(self, limit: int = 20) -> None:
        """Plan until nothing changes."""
        for _ in range(limit):
            before, plan = self.status, self.step()
            if not plan.actions and not plan.jobs and self.status == before:
                return
        raise AssertionError("planning never settles")

    def current(self) -> dict[str, Any]:
        """The Job that was created last."""
        held = self.store.get(BATCH_JOB, (NAMESPACE, self.created[-1]))
        return {**held, "spec": {**self.bodies[self.created[-1]]["spec"], **held["spec"]}}

    def pod(self, index: int = 0, deleted: bool = False, **status: Any) -> None:
        """A pod of the current Job; `deleted`: it is on its way out."""
        job = self.current()
        name = f"{job['metadata']['name']}-{index}"
        self.put(POD, {
            "apiVersion": "v1", "kind": "Pod", "spec": job["spec"]["template"]["spec"], "status": status,
            "metadata": {
                "name": name, "namespace": NAMESPACE, "uid": name, "labels": job["metadata"]["labels"],
                "creationTimestamp": job["metadata"]["creationTimestamp"],
                "annotations": {"batch.kubernetes.io/job-completion-index": str(index)},
                "ownerReferences": [{"uid": job["metadata"]["uid"], "controller": True}],
                **({"deletionTimestamp": self.now} if deleted else {}),
            },
        })  # fmt: skip

    def end_pod(self, message: str, code: int = 0, index: int = 0, deleted: bool = False, **extra: Any) -> None:
        """The pod's container ended."""
        ended = {"exitCode": code, "message": message, "finishedAt": self.now, **extra}
        self.pod(index, deleted, phase="Succeeded" if code == 0 else "Failed",
                 containerStatuses=[{"imageID": "sha256:image", "state": {"terminated": ended}}])  # fmt: skip

    def end_job(self, outcome: str, **extra: str) -> None:
        """The Job controller calls the current Job Complete or Failed."""
        job = copy.deepcopy(self.current())
        condition = {"type": outcome, "status": "True", "lastTransitionTime": self.now, **extra}
        job["status"] = {"startTime": self.now, "conditions": [condition]}
        self.put(BATCH_JOB, job)

    def succeed(self, **results: Any) -> None:
        """The current stage's pods end well and leave their results."""
        stage = self.current()["metadata"]["labels"]["distillery.dev/stage"]
        shards = self.current()["spec"].get("completions", 1)
        for index in range(shards):
            result = results.get(stage) or RESULTS[stage]
            self.end_pod(Summary(stage=stage, **{stage: result}).message(), index=index)
        self.end_job("Complete")
        self.settle()

    def fail(self, reason: str, message: str) -> None:
        """The current stage ends with a failure that no retry heals."""
        stage = self.current()["metadata"]["labels"]["distillery.dev/stage"]
        self.end_pod(Summary(stage=stage, failure=Failure(reason=reason, message=message)).message(), PERMANENT)
        self.end_job("Failed", reason="PodFailurePolicy")
        self.settle()

    def condition(self, kind: str) -> tuple[str, str, str]:
        """Status, reason and message of a condition."""
        found = next(c for c in self.status["conditions"] if c["type"] == kind)
        return found["status"], found["reason"], found["message"]

    def verdict(self, result: str = "Pass", **changes: Any) -> VerdictStatus:
        """A verdict as the evaluate stage would write it."""
        values = {
            "result": result, "criteria": [criterion(result)], "gate_hash": self.status["resolved"]["gateHash"],
            "artifact_digest": DIGESTS["artifact"], "report_uri": "s3://bucket/team/report.json",
            "report_digest": DIGESTS["report"],
        }  # fmt: skip
        return VerdictStatus(**(values | changes))
