"""What a user may set on the pods of a stage: a fixed list, never a whole PodSpec."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from .schema import LabelValue, Model, Name, QualifiedKey, Quantity, rules


class Toleration(Model):
    """A Kubernetes toleration."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            ("self.operator != 'Exists' || self.value == ''", "leave value out: operator Exists takes none", ".value"),
            ("self.operator == 'Exists' || self.key != ''", "name a key, or set operator: Exists for any key", ".key"),
            (
                "!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')",
                "set effect: NoExecute: tolerationSeconds holds for it alone",
                ".effect",
            ),
        )
    )

    key: Annotated[str, Field(max_length=316)] = ""
    operator: Literal["Exists", "Equal"] = "Equal"
    value: Annotated[str, Field(max_length=63)] = ""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    toleration_seconds: Annotated[int, Field(ge=0)] | None = None


class Resources(Model):
    """Requests and limits by resource name. GPUs are asked for by `gpus`, not here."""

    requests: Annotated[dict[QualifiedKey, Quantity], Field(max_length=16)] = {}
    limits: Annotated[dict[QualifiedKey, Quantity], Field(max_length=16)] = {}


class RetrySpec(Model):
    """How often each kind of failure may repeat a stage. A wrong input and a gate's refusal never do."""

    infrastructure: Annotated[
        int,
        Field(
            ge=0,
            le=20,
            description="Pods that crash or lose their storage. Evictions, preemptions and drained nodes do not count.",
        ),
    ] = 3
    out_of_memory: Annotated[int, Field(ge=0, le=20, description="Pods that need more than their memory limit.")] = 0
    image: Annotated[int, Field(ge=0, le=20, description="Five minutes without the image, counted once.")] = 1


class EvaluateStage(Model):
    """Scheduling of the evaluate stage. Its image is the chart's: the verdict must come from known code."""

    resources: Resources | None = None
    gpus: Annotated[int, Field(ge=0, le=64, description="Whole GPUs for each pod of the stage.")] = 0
    node_selector: Annotated[dict[QualifiedKey, LabelValue], Field(max_length=16)] | None = None
    tolerations: Annotated[list[Toleration], Field(max_length=16)] | None = None
    service_account_name: Annotated[Name, Field(description="Needs no API rights; for workload identity.")] | None = (
        None
    )
    pending_deadline_seconds: (
        Annotated[
            int,
            Field(ge=1, le=31536000, description="From admission until a pod runs; the job fails after it."),
        ]
        | None
    ) = None
    active_deadline_seconds: (
        Annotated[
            int,
            Field(ge=1, le=31536000, description="From an attempt's first running pod on; the job fails after it."),
        ]
        | None
    ) = None
    retries: RetrySpec = RetrySpec()


class Stage(EvaluateStage):
    """Scheduling and image of a stage."""

    image: (
        Annotated[
            str,
            Field(
                min_length=1,
                max_length=512,
                description="Worker image in place of the chart's.",
                json_schema_extra=rules(("!self.contains(' ')", "write the image reference without spaces")),
            ),
        ]
        | None
    ) = None
