"""Pods of one Job that work together: how many there are, and where those of a training find each other."""

from typing import Any

from distillery_api.distillationjob import DistillationJobSpec
from distillery_api.run import JobRef

from .names import JOB, OWNER_UID, STAGE, owner_labels, stage_job


def pods_of(spec: DistillationJobSpec, stage: str) -> int:
    """Pods that a stage needs a result of."""
    return {"label": spec.soft_labels.shards, "train": spec.training.nodes}.get(stage, 1)


def indexed(spec: DistillationJobSpec, stage: str) -> dict[str, Any]:
    """The Job's fields for several pods; shards may wait for each other, nodes run at once or not at all."""
    if stage == "label":
        parallelism = spec.soft_labels.parallelism
    elif stage == "train" and spec.training.nodes > 1:
        parallelism = spec.training.nodes
    else:
        return {}
    return {"completionMode": "Indexed", "completions": pods_of(spec, stage), "parallelism": parallelism}


def train_service_name(job: JobRef) -> str:
    """Name of the Service that gives the pods of every attempt at training their names."""
    return f"{job.name}-{job.uid[:8]}-train"


def train_service(job: JobRef, owner: dict[str, Any]) -> dict[str, Any]:
    """A headless Service: it forwards nothing, and makes `<pod's host name>.<service>` known before pods are ready."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": train_service_name(job), "namespace": job.namespace,
            "labels": owner_labels(JOB, job.name, job.uid), "ownerReferences": [owner],
        },
        "spec": {
            "clusterIP": "None", "publishNotReadyAddresses": True,
            "selector": {OWNER_UID: job.uid, STAGE: "train"},
        },
    }  # fmt: skip


def first_node(job: JobRef, attempt: int) -> str:
    """Address of the first pod of an attempt at training, at which the others meet it."""
    return f"{stage_job(job.name, job.uid, 'train', attempt)}-0.{train_service_name(job)}"
