"""What a user may set on the pods of a stage: a fixed list, never a whole PodSpec."""

from typing import Annotated, Literal

from pydantic import Field

from .schema import LabelValue, Model, Name, QualifiedKey, Quantity, rules


class Toleration(Model):
    """A Kubernetes toleration."""

    key: Annotated[str, Field(max_length=316)] = ""
    operator: Literal["Exists", "Equal"] = "Equal"
    value: Annotated[str, Field(max_length=63)] = ""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    toleration_seconds: Annotated[int, Field(ge=0)] | None = None


class Resources(Model):
    """Requests and limits by resource name. GPUs are asked for by `gpus`, not here."""

    requests: Annotated[dict[QualifiedKey, Quantity], Field(max_length=16)] = {}
    limits: Annotated[dict[QualifiedKey, Quantity], Field(max_length=16)] = {}


class EvaluateStage(Model):
    """Scheduling of the evaluate stage. Its image is the chart's: the verdict must come from known code."""

    resources: Resources | None = None
    gpus: Annotated[int, Field(ge=0, le=64, description="Whole GPUs for each pod of the stage.")] = 0
    node_selector: Annotated[dict[QualifiedKey, LabelValue], Field(max_length=16)] = {}
    tolerations: Annotated[list[Toleration], Field(max_length=16)] = []
    service_account_name: Annotated[Name, Field(description="Needs no API rights; for workload identity.")] | None = (
        None
    )


class Stage(EvaluateStage):
    """Scheduling and image of a stage."""

    image: (
        Annotated[
            str,
            Field(
                min_length=1,
                max_length=512,
                description="Worker image in place of the chart's.",
                json_schema_extra=rules(("!self.contains(' ')", "an image reference has no spaces")),
            ),
        ]
        | None
    ) = None
