"""The operator's configuration file: chart values, as JSON. What differs between its pods comes by flags."""

from pathlib import Path
from typing import Annotated

from distillery_api.schema import DNS_LABEL, Model, Name
from pydantic import Field


class PodDefaults(Model):
    """What every pod of the operator's making gets."""

    image_pull_policy: Annotated[str, Field(pattern="^(Always|IfNotPresent|Never)$")] = "IfNotPresent"
    image_pull_secrets: list[Name] = []


class Kueue(Model):
    """What the operator reads of Kueue."""

    enabled: Annotated[bool, Field(description="Whether its own words say why a stage waits in a queue.")] = False


class Settings(Model):
    """Images, names and periods. Times in seconds."""

    worker_image: Annotated[str, Field(min_length=1)]
    server_image: Annotated[str, Field(min_length=1)]
    watch_namespace: Annotated[
        str, Field(max_length=63, pattern=f"^$|{DNS_LABEL}", description="Empty: every namespace.")
    ] = ""
    check_crds: Annotated[bool, Field(description="Whether to compare the stored CRDs with our own at start.")] = True
    gpu_resource: str = "nvidia.com/gpu"
    pods: PodDefaults = PodDefaults()
    kueue: Kueue = Kueue()
    progress_seconds: Annotated[
        float, Field(gt=0, description="How often running pods, Kueue and events are asked.")
    ] = 5.0
    resync_seconds: Annotated[float, Field(gt=0, description="How often a full LIST purges what a watch lost.")] = 300.0
    workers: Annotated[int, Field(ge=1, le=64, description="Objects reconciled at once.")] = 8
    health_port: int = 8081
    metrics_port: int = 8080
    log_level: Annotated[str, Field(pattern="^(DEBUG|INFO|WARNING|ERROR)$")] = "INFO"


def load(path: Path) -> Settings:
    """Read the file. Raises ValueError that names the field."""
    return Settings.model_validate_json(path.read_text())
