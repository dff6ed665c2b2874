"""The embedded cluster with the chart installed, the tiny WordNet case, and a namespace for each test."""

import copy
import json
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from waiting import eventually

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "hack"))

from embedded import SYSTEM, Embedded, connect  # noqa: E402

INPUTS = "s3://distillery-e2e/inputs"
TINY = {
    "teacher": f"{INPUTS}/teacher",
    "train": f"{INPUTS}/train.parquet",
    "unlabelled": f"{INPUTS}/unlabelled.parquet",
    "test": f"{INPUTS}/test.parquet",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="session")
def cluster() -> Embedded:
    cluster = connect()
    cluster.install("settings.resyncSeconds=60", "settings.progressSeconds=1")
    cluster.upload("tiny", INPUTS)
    return cluster


class Team:
    """One team's namespace: jobs and models in short words."""

    def __init__(self, cluster: Embedded, name: str) -> None:
        self.cluster, self.name = cluster, name
        self.storage = f"s3://distillery-e2e/{name}"

    def job(self, name: str, model: str | None = "served", **changes: Any) -> None:
        """Apply a job on the tiny case; `changes` replace parts of the spec."""
        spec: dict[str, Any] = {
            "task": "text-classification",
            "teachers": [{"model": {"uri": TINY["teacher"]}}],
            "student": {"config": {"hiddenSize": 32, "layers": 1, "attentionHeads": 2, "intermediateSize": 64}},
            "dataset": {key: TINY[key] for key in ("train", "unlabelled", "test")},
            "training": {"epochs": 3, "learningRate": 0.005, "checkpointEverySteps": 50},
            "gate": {"minRetention": 0.8, "incumbentMargin": 0.1},
            "storage": {"uri": self.storage, "secretRef": {"name": "storage"}},
        } | copy.deepcopy(changes)
        if model:
            spec["promoteTo"] = {"name": model}
        self.cluster.apply(self.object("DistillationJob", name, spec))

    def model(self, name: str = "served", **serving: Any) -> None:
        """Apply a model with a gate that the tiny case can pass."""
        spec = {
            "task": "text-classification",
            "promotion": {"gate": {"minRetention": 0.8, "incumbentMargin": 0.1}},
            "serving": {"storage": {"secretRef": {"name": "storage"}}, "drainSeconds": 5} | serving,
        }
        self.cluster.apply(self.object("DistilledModel", name, spec))

    def suspend(self, job: str, value: bool) -> None:
        """Set spec.suspend."""
        patch = json.dumps({"spec": {"suspend": value}})
        self.cluster.kubectl("-n", self.name, "patch", "dj", job, "--type=merge", "-p", patch)

    def object(self, kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
        metadata = {"name": name, "namespace": self.name}
        return {"apiVersion": "distillery.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}

    def get(self, kind: str, name: str) -> dict[str, Any]:
        return self.cluster.get("-n", self.name, kind, name)

    def items(self, kind: str, selector: str = "") -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.cluster.get("-n", self.name, kind, "-l", selector)["items"]
        return found

    def condition(self, kind: str, name: str, condition: str) -> dict[str, Any]:
        conditions = self.get(kind, name).get("status", {}).get("conditions", [])
        return next((c for c in conditions if c["type"] == condition), {})

    def ended(self, name: str, seconds: float = 240) -> dict[str, Any]:
        """Wait until the job has ended; returns it."""
        return eventually(lambda: self.get("dj", name), lambda job: "finishedAt" in job.get("status", {}), seconds)

    def passed(self, name: str) -> dict[str, Any]:
        """Wait until the job has ended, and see to it that its student passed."""
        job = self.ended(name)
        ready = next(c for c in job["status"]["conditions"] if c["type"] == "Ready")
        assert ready["status"] == "True", ready
        return job

    def serves(self, digest: str, name: str = "served") -> dict[str, Any]:
        """Wait until the model serves the artifact with every pod ready."""

        def read() -> Any:
            model = self.get("dm", name)
            return model, self.condition("dm", name, "Ready").get("status")

        return eventually(
            read, lambda seen: seen[0].get("status", {}).get("active", {}).get("digest") == digest and seen[1] == "True"
        )[0]  # fmt: skip

    def address(self, name: str = "served") -> str:
        """The model's URL as the host reaches it."""
        return "http://" + self.get("service", name)["spec"]["clusterIP"]

    def stages_run(self, job: str) -> list[str]:
        """Stages for which a Job exists, in alphabetical order."""
        jobs = self.items("jobs", f"distillery.dev/owner-name={job}")
        return sorted(item["metadata"]["labels"]["distillery.dev/stage"] for item in jobs)


@pytest.fixture
def team(cluster: Embedded) -> Iterator[Team]:
    name = f"team-{uuid.uuid4().hex[:6]}"
    cluster.namespace(name)
    yield Team(cluster, name)
    cluster.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="session")
def shared(cluster: Embedded) -> Iterator[Team]:
    """A team whose first student serves already; a whole run takes a minute and more, so tests share it."""
    name = f"team-{uuid.uuid4().hex[:6]}"
    cluster.namespace(name)
    team = Team(cluster, name)
    team.model(replicas=1)
    team.job("first")
    team.serves(team.passed("first")["status"]["artifacts"]["artifactDigest"])
    yield team
    cluster.kubectl("delete", "namespace", name, "--wait=false")


def operator_pod(cluster: Embedded) -> dict[str, Any]:
    """The operator's running pod."""
    pods = cluster.get("-n", SYSTEM, "pods", "-l", "app.kubernetes.io/name=distillery-operator")["items"]
    return next(pod for pod in pods if "deletionTimestamp" not in pod["metadata"])
