"""Namespaces for tests, with short words for what tests do in them."""

import uuid
from typing import Any

from kubernetes import client
from stage_results import job_spec
from waiting import eventually

GROUP, VERSION = "distillery.dev", "v1alpha1"


def new_namespace(api: client.ApiClient, prefix: str = "t") -> "Namespace":
    """Create a namespace under a name that nobody had."""
    name = f"{prefix}-{uuid.uuid4().hex[:8]}"
    client.CoreV1Api(api).create_namespace({"metadata": {"name": name}})
    return Namespace(api, name)


class Namespace:
    """One namespace."""

    def __init__(self, api: client.ApiClient, name: str) -> None:
        self.name = name
        self.core, self.batch, self.apps = client.CoreV1Api(api), client.BatchV1Api(api), client.AppsV1Api(api)
        self.scaling, self.custom = client.AutoscalingV2Api(api), client.CustomObjectsApi(api)

    def apply(self, plural: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
        kind = {"distillationjobs": "DistillationJob", "distilledmodels": "DistilledModel"}[plural]
        body = {"apiVersion": f"{GROUP}/{VERSION}", "kind": kind, "metadata": {"name": name}, "spec": spec}
        return self.custom.create_namespaced_custom_object(GROUP, VERSION, self.name, plural, body)

    def job(self, name: str, **changes: Any) -> None:
        self.apply("distillationjobs", name, job_spec(**changes))

    def model(self, name: str = "served", **spec: Any) -> None:
        self.apply("distilledmodels", name, {"task": "text-classification"} | spec)

    def patch(self, plural: str, name: str, spec: dict[str, Any]) -> None:
        """Merge patch of the spec."""
        self.custom.patch_namespaced_custom_object(GROUP, VERSION, self.name, plural, name, {"spec": spec})

    def annotate(self, plural: str, name: str, annotations: dict[str, str]) -> None:
        """Set annotations, as `kubectl annotate` does."""
        body = {"metadata": {"annotations": annotations}}
        self.custom.patch_namespaced_custom_object(GROUP, VERSION, self.name, plural, name, body)

    def delete(self, plural: str, name: str) -> None:
        self.custom.delete_namespaced_custom_object(GROUP, VERSION, self.name, plural, name)

    def get(self, plural: str, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.custom.get_namespaced_custom_object(GROUP, VERSION, self.name, plural, name)
        return found

    def condition(self, plural: str, name: str, kind: str) -> dict[str, Any]:
        conditions = self.get(plural, name).get("status", {}).get("conditions", [])
        return next((c for c in conditions if c["type"] == kind), {})

    def stage(self, name: str, stage: str) -> dict[str, Any]:
        """What the status of a DistillationJob says of a stage; nothing before its first pass."""
        stages = self.get("distillationjobs", name).get("status", {}).get("stages", [])
        return next((each for each in stages if each["name"] == stage), {})

    def job_names(self) -> list[str]:
        return sorted(job.metadata.name for job in self.batch.list_namespaced_job(self.name).items)

    def stages_run(self) -> list[str]:
        return sorted(
            job.metadata.labels["distillery.dev/stage"] for job in self.batch.list_namespaced_job(self.name).items
        )

    def ended(self, name: str) -> dict[str, Any]:
        """Wait until the DistillationJob has ended."""
        return eventually(lambda: self.get("distillationjobs", name), lambda job: "finishedAt" in job.get("status", {}))

    def serving(self, digest: str, name: str = "served") -> dict[str, Any]:
        """Wait until the model serves the artifact."""
        return eventually(
            lambda: self.get("distilledmodels", name),
            lambda model: (
                model.get("status", {}).get("active", {}).get("digest") == digest
                and self.condition("distilledmodels", name, "Ready").get("status") == "True"
            ),
        )
