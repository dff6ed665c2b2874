"""A DistilledModel and its children without a cluster: Deployments become ready when the test says so."""

import copy
from typing import Any

from distillery_api.distillationjob_status import VerdictStatus
from distillery_api.distilledmodel import DistilledModelSpec
from distillery_api.schema import Failure
from distillery_operator.model_plan import plan_model
from distillery_operator.names import AUTOSCALER, DEPLOYMENT, JOB, MODEL, POD, SERVICE
from distillery_operator.plans import Apply, Create, Delete, Merge, Plan
from distillery_operator.resolve import effective_gate
from distillery_operator.store import Store
from distillery_operator.views import model_view
from job_world import NAMESPACE, SETTINGS
from stage_results import DIGESTS, criterion, job_spec

REPORT = {"report_uri": "s3://bucket/team/report.json", "report_digest": DIGESTS["report"]}


def digest(letter: str) -> str:
    """A digest made of one hex digit."""
    return "sha256:" + letter * 64


class ModelWorld:
    """One model, finished jobs that promote to it, and what Kubernetes would hold."""

    def __init__(self, **spec: Any) -> None:
        self.store = Store()
        self.settings = SETTINGS
        self.clock = 0
        self.version = 1
        self.notes: list[str] = []
        self.refused: dict[str, Failure] = {}
        self.model = {
            "apiVersion": MODEL.api_version, "kind": "DistilledModel",
            "spec": {"task": "text-classification"} | spec,
            "metadata": {"name": "served", "namespace": NAMESPACE, "uid": "m-uid", "generation": 1, "annotations": {}},
        }  # fmt: skip
        self.put(MODEL, self.model)

    @property
    def now(self) -> str:
        """The time of this pass."""
        return f"2026-01-01T01:{self.clock // 60:02d}:{self.clock % 60:02d}Z"

    @property
    def held(self) -> dict[str, Any]:
        """The model as stored."""
        return self.store.get(MODEL, (NAMESPACE, "served"))

    @property
    def status(self) -> dict[str, Any]:
        """The model's status."""
        return self.held.get("status", {})

    def put(self, kind: Any, obj: dict[str, Any]) -> None:
        """Store a newer version of the object."""
        self.version += 1
        stored = copy.deepcopy(obj)
        stored["metadata"]["resourceVersion"] = str(self.version)
        self.store.put(kind, stored)

    def finish_job(
        self, name: str, artifact: str, incumbent: str | None = None, result: str = "Pass", **changes: Any
    ) -> None:
        """A DistillationJob ended with a verdict on the artifact."""
        self.clock += 1
        spec = DistilledModelSpec.model_validate(self.held["spec"])
        gate = effective_gate(changes.pop("gate", spec.promotion.gate), spec.promotion.gate)
        verdict = VerdictStatus(
            result=result, criteria=[criterion(result)], gate_hash=gate.hash, artifact_digest=digest(artifact),
            incumbent_digest=digest(incumbent) if incumbent else None,
            **REPORT | ({"report_uri": changes.pop("report")} if "report" in changes else {}),
        )  # fmt: skip
        artifacts = {
            "artifactUri": f"s3://bucket/{artifact}", "artifactDigest": digest(artifact), "interface": digest("1"),
        } | changes  # fmt: skip
        self.put(JOB, {
            "apiVersion": JOB.api_version, "kind": "DistillationJob", "spec": job_spec(),
            "metadata": {"name": name, "namespace": NAMESPACE, "uid": name, "generation": 1},
            "status": {
                "observedGeneration": 1, "verdict": verdict.dump(), "artifacts": artifacts, "finishedAt": self.now,
            },
        })  # fmt: skip

    def restore_job(self, name: str) -> None:
        """The job comes back from a backup with its status: another uid, everything else as it was."""
        held = copy.deepcopy(self.store.get(JOB, (NAMESPACE, name)))
        self.store.remove(JOB, (NAMESPACE, name), held["metadata"]["uid"])
        held["metadata"]["uid"] = f"{name}-{self.version}"
        self.put(JOB, held)

    def step(self, write_status: bool = True) -> Plan:
        """Plan once and carry the plan out; the operator may die before it writes the status."""
        self.clock += 1
        plan = plan_model(model_view(self.held, self.store, self.refused), self.settings, self.now)
        for action in plan.actions:
            self.carry_out(action)
        self.notes += [note.reason for note in plan.notes]
        if write_status and plan.status != self.status:
            self.put(MODEL, {**self.held, "status": plan.status})
        return plan

    def carry_out(self, action: Any) -> None:
        """What the API server would do."""
        if self.refuses(action):
            return
        if isinstance(action, Create | Apply):
            body = copy.deepcopy(action.body)
            body["metadata"] |= {"uid": f"{body['metadata']['name']}-{self.version}", "generation": 1}
            self.put(action.kind, body)
        elif isinstance(action, Delete):
            assert self.store.remove(action.kind, (action.namespace, action.name), action.uid)
        elif isinstance(action, Merge) and action.kind == MODEL:
            held = copy.deepcopy(self.held)
            held["metadata"]["annotations"] |= action.body["metadata"]["annotations"]
            self.put(MODEL, held)
        elif isinstance(action, Merge):
            self.scale(action.name, action.body["spec"]["replicas"])

    def refuses(self, action: Any) -> bool:
        """Whether the API server would not have the child."""
        return isinstance(action, Create | Apply) and action.body["metadata"]["name"] in self.refused

    def scale(self, deployment: str, replicas: int) -> None:
        """Somebody sets the size of a Deployment."""
        held = copy.deepcopy(self.store.get(DEPLOYMENT, (NAMESPACE, deployment)))
        held["spec"]["replicas"] = replicas
        self.put(DEPLOYMENT, held)

    def ready(self, deployment: str | None = None) -> None:
        """All pods of the Deployment (or of every one) answer."""
        for obj in self.store.all(DEPLOYMENT):
            if deployment in (None, obj["metadata"]["name"]):
                count = obj["spec"]["replicas"]
                self.put(DEPLOYMENT, {**obj, "status": {"observedGeneration": 1, "readyReplicas": count}})

    def lose_service(self) -> None:
        """Somebody deletes the Service, and takes its name."""
        held = self.store.get(SERVICE, (NAMESPACE, "served"))
        self.store.remove(SERVICE, (NAMESPACE, "served"), held["metadata"]["uid"])
        self.refused["served"] = Failure(reason="NameTaken", message="a Service served of another owner exists")

    def fail(self, deployment: dict[str, Any], message: str) -> None:
        """Kubernetes gives the Deployment up."""
        stuck = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": message}
        self.put(DEPLOYMENT, {**deployment, "status": {"observedGeneration": 1, "conditions": [stuck]}})

    def settle(self, limit: int = 20) -> None:
        """Plan until nothing changes but the clock."""
        for _ in range(limit):
            before = self.status
            if all(map(self.refuses, self.step().actions)) and self.status == before:
                return
        raise AssertionError("planning never settles")

    def promote(self, name: str, artifact: str, incumbent: str | None = None) -> None:
        """A job passes, its student comes up, and what it replaced is cleared away."""
        self.finish_job(name, artifact, incumbent)
        self.settle()
        self.ready()
        self.settle()
        self.clock += 60
        self.settle()

    def deployments(self) -> list[str]:
        """Artifacts of the Deployments that exist, by the name they were given."""
        return sorted(self.artifact_of(obj) for obj in self.store.all(DEPLOYMENT))

    def artifact_of(self, deployment: dict[str, Any]) -> str:
        """The hex digit of the artifact that a Deployment serves."""
        text = deployment["spec"]["template"]["metadata"]["annotations"]["distillery.dev/run"]
        return text.split("sha256:")[1][0]

    def routed_to(self) -> str:
        """The artifact behind the Service."""
        service = self.store.get(SERVICE, (NAMESPACE, "served"))
        revision = service["spec"]["selector"]["distillery.dev/revision"]
        found = next(
            d for d in self.store.all(DEPLOYMENT) if d["metadata"]["labels"]["distillery.dev/revision"] == revision
        )
        return self.artifact_of(found)

    def autoscaler(self) -> dict[str, Any] | None:
        """The HorizontalPodAutoscaler's spec."""
        held = self.store.get(AUTOSCALER, (NAMESPACE, "served"))
        return held["spec"] if held else None

    def refuse(self, artifact: str, message: str) -> None:
        """The server of that artifact ends with the exit code of a wrong input."""
        obj = next(d for d in self.store.all(DEPLOYMENT) if self.artifact_of(d) == artifact)
        ended = {"terminated": {"exitCode": 65, "message": message}}
        self.put(POD, {
            "metadata": {"name": "p", "namespace": NAMESPACE, "uid": "p", "labels": obj["metadata"]["labels"]},
            "status": {"containerStatuses": [{"state": {"waiting": {}}, "lastState": ended}]},
        })  # fmt: skip

    def condition(self, kind: str) -> tuple[str, str, str]:
        """Status, reason and message of a condition."""
        found = next(c for c in self.status["conditions"] if c["type"] == kind)
        return found["status"], found["reason"], found["message"]
