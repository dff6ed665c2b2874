"""DistilledModel: the long-lived endpoint that a promoted student answers on."""

from typing import Annotated, Literal

from pydantic import Field

from .gate import GateSpec
from .pods import Resources, Toleration
from .schema import CONDITION_LIST, Condition, Digest, LabelValue, Model, Name, QualifiedKey, rules
from .sources import SecretRef
from .tasks import ServedTask


class Promotion(Model):
    """What a student must show before it serves. Jobs may ask for more, never for less."""

    gate: GateSpec = GateSpec()


class Autoscaling(Model):
    """A HorizontalPodAutoscaler on CPU, relative to the pods' CPU request."""

    min_replicas: Annotated[int, Field(ge=1, le=1000)] = 1
    max_replicas: Annotated[int, Field(ge=1, le=1000)]
    target_cpu_utilization: Annotated[int, Field(ge=1, le=1000, description="Percent of the CPU request.")] = 70
    scale_down_stabilization_seconds: Annotated[int, Field(ge=0, le=3600)] = 300


class ServingStorage(Model):
    """Credentials with which the server reads artifacts; the model has its own, apart from any job's."""

    secret_ref: SecretRef | None = None


class Serving(Model):
    """How the student runs."""

    replicas: Annotated[int, Field(ge=1, le=1000)] | None = None
    autoscaling: (
        Annotated[
            Autoscaling,
            Field(
                json_schema_extra=rules(
                    (
                        "self.minReplicas <= self.maxReplicas",
                        "minReplicas must not exceed maxReplicas; change one of them",
                        ".minReplicas",
                    )
                )
            ),
        ]
        | None
    ) = None
    storage: ServingStorage = ServingStorage()
    resources: Resources = Resources(requests={"cpu": "250m", "memory": "256Mi"}, limits={"memory": "512Mi"})
    service_account_name: Name | None = None
    node_selector: Annotated[dict[QualifiedKey, LabelValue], Field(max_length=16)] | None = None
    tolerations: Annotated[list[Toleration], Field(max_length=16)] | None = None
    drain_seconds: Annotated[
        int,
        Field(ge=1, le=300, description="How long a stopping pod goes on answering while endpoints change."),
    ] = 10


class DistilledModelSpec(Model):
    """A stable endpoint and the gate in front of it."""

    task: ServedTask
    promotion: Promotion = Promotion()
    serving: Annotated[
        Serving,
        Field(
            json_schema_extra=rules(
                (
                    "!(has(self.replicas) && has(self.autoscaling))",
                    "set replicas or autoscaling, not both: an autoscaler owns the number of replicas",
                    ".replicas",
                ),
                (
                    "!has(self.autoscaling) || 'cpu' in self.resources.requests || 'cpu' in self.resources.limits",
                    "set resources.requests.cpu: autoscaling aims at a percentage of it",
                    ".resources.requests",
                ),
            )
        ),
    ] = Serving()


class RevisionStatus(Model):
    """A student and how it is run: hash of artifact digest and pod template."""

    revision: Annotated[str, Field(max_length=16)]
    uri: Annotated[str, Field(max_length=1024)]
    digest: Digest
    interface: Digest
    since: Annotated[str, Field(max_length=32)] | None = None
    job: Annotated[str, Field(max_length=63)] | None = None
    job_uid: Annotated[str, Field(max_length=64)] | None = None
    report_uri: Annotated[str, Field(max_length=1024)] | None = None
    report_digest: Digest | None = None
    gate_hash: Digest | None = None
    by_hand: Annotated[
        bool | None, Field(description="Whether a person promoted it, where the evidence did not decide.")
    ] = None
    retention: float | None = None


class DecisionStatus(Model):
    """What became of a student that was offered."""

    job: Annotated[str, Field(max_length=63)]
    job_uid: Annotated[str, Field(max_length=64)]
    digest: Digest | None = None
    outcome: Literal["Promoted", "Rejected", "Held"]
    reason: Annotated[str, Field(max_length=128)]
    message: Annotated[str, Field(max_length=1024)]
    time: Annotated[str, Field(max_length=32)]
    evidence: Annotated[
        str | None, Field(max_length=160, description="What an annotation must name to decide on the student by hand.")
    ] = None


class DistilledModelStatus(Model):
    """Written by the operator alone."""

    observed_generation: int = -1
    conditions: Annotated[list[Condition], Field(max_length=16, json_schema_extra=CONDITION_LIST)] = []
    active: RevisionStatus | None = None
    candidate: RevisionStatus | None = None
    history: Annotated[
        list[DecisionStatus], Field(max_length=20, json_schema_extra={"x-kubernetes-list-type": "atomic"})
    ] = []
    url: Annotated[str, Field(max_length=512)] | None = None
    replicas: int | None = None
    selector: Annotated[str, Field(max_length=512)] | None = None
