"""Crashes of the operator and of workers cost nothing, and wrong inputs say what to change."""

import io
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from conftest import SYSTEM, TINY, Team, operator_pod
from distillery_storage import open_prefix
from waiting import eventually

STAGES = ["compress", "evaluate", "label", "preflight", "train"]


def container_processes(words: str, uid: str) -> list[int]:
    """Pids of processes of a pod: their cgroup path holds the pod's uid."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            ours = uid in (entry / "cgroup").read_text() and words in (entry / "cmdline").read_text()
        except OSError:  # it ended meanwhile
            continue
        if ours:
            found.append(int(entry.name))
    return found


def kill_operator(team: Team) -> None:
    """SIGKILL of the operator's process; the pod is replaced at once, so that no back-off adds up."""
    pod = operator_pod(team.cluster)
    for pid in container_processes("distillery_operator", pod["metadata"]["uid"]):
        os.kill(pid, signal.SIGKILL)
    team.cluster.kubectl("-n", SYSTEM, "delete", "pod", pod["metadata"]["name"], "--grace-period=0", "--force")


def test_an_operator_killed_in_each_stage_starts_no_second_job_and_ends_the_same(team: Team):
    team.model(replicas=1)
    team.job("survivor")
    for stage in ("preflight", "label", "train", "compress", "evaluate"):
        eventually(lambda stage=stage: team.stages_run("survivor"), lambda stages, stage=stage: stage in stages)
        kill_operator(team)
    job = team.passed("survivor")
    assert team.stages_run("survivor") == STAGES
    assert [stage["attempt"] for stage in job["status"]["stages"]] == [1] * 5
    team.serves(job["status"]["artifacts"]["artifactDigest"])


def evict(team: Team, pod: dict[str, Any]) -> None:
    """What `kubectl drain` does to each pod of a node."""
    metadata = {"name": pod["metadata"]["name"], "namespace": team.name}
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata}
    path = f"/api/v1/namespaces/{team.name}/pods/{metadata['name']}/eviction"
    team.cluster.kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(body))


def test_training_goes_on_from_its_checkpoint_after_a_crash_an_eviction_and_a_suspension(team: Team):
    team.job("resumed", model=None, training={"epochs": 30, "learningRate": 0.002, "checkpointEverySteps": 100})

    def train() -> dict[str, Any]:
        stages = team.get("dj", "resumed")["status"].get("stages", [])
        return next((stage for stage in stages if stage["name"] == "train"), {})

    def steps() -> int:
        return int(train().get("progress", {}).get("done", 0))

    def working(*earlier: dict[str, Any]) -> dict[str, Any] | None:
        """A pod that trains and is none of the earlier ones."""
        known = [pod["metadata"]["uid"] for pod in earlier]
        pods = [pod for pod in team.items("pods", "distillery.dev/stage=train") if pod["metadata"]["uid"] not in known]
        return next((pod for pod in pods if container_processes("distillery_worker", pod["metadata"]["uid"])), None)

    eventually(steps, lambda done: done > 300, seconds=180)
    killed = working()
    assert killed is not None
    for pid in container_processes("distillery_worker", killed["metadata"]["uid"]):
        os.kill(pid, signal.SIGKILL)
    evicted = eventually(lambda: working(killed), bool)
    evict(team, evicted)
    eventually(lambda: working(killed, evicted), bool)
    eventually(steps, lambda done: done > 800, seconds=180)
    team.suspend("resumed", True)
    eventually(lambda: team.condition("dj", "resumed", "Suspended").get("status"), lambda status: status == "True")
    assert team.items("jobs", "distillery.dev/stage=train") == []
    team.suspend("resumed", False)
    assert team.ended("resumed", seconds=400)["status"]["verdict"]["result"] == "Pass"
    assert train()["attempt"] == 2
    assert train()["retries"]["infrastructure"] == 1  # the crash alone
    (last,) = team.items("pods", "distillery.dev/stage=train")
    message = json.loads(last["status"]["containerStatuses"][0]["state"]["terminated"]["message"])
    assert message["train"]["resumedFromStep"] > 800


def test_a_stage_that_needs_more_memory_than_its_limit_says_which_to_raise(team: Team):
    team.job("starved", model=None, stages={"preflight": {"resources": {"limits": {"memory": "150Mi"}}}})
    team.ended("starved")
    ready = team.condition("dj", "starved", "Ready")
    assert ready["reason"] == "OutOfMemory", ready
    assert "raise stages.preflight.resources.limits.memory, which is 150Mi" in ready["message"]


def write_rows(team: Team, name: str, rows: list[dict[str, str]], columns: tuple[str, ...] = ("text", "label")) -> str:
    """A data file of the team's own; returns its uri."""
    os.environ |= team.cluster.credentials()
    table = pa.table({column: [row.get(column, "") for row in rows] for column in columns})
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    open_prefix(f"{team.storage}-inputs").write(name, buffer.getvalue())
    return f"{team.storage}-inputs/{name}"


ROW = {"text": "a large animal of the forest", "label": "animal", "body": "a body"}
WRONG_DIGEST = {"teachers": [{"model": {"uri": TINY["teacher"], "digest": "sha256:" + "0" * 64}}]}


def test_wrong_inputs_are_conditions_that_name_the_fix(team: Team):
    team.model(replicas=1)
    files = {
        "no-column": write_rows(team, "no-column.parquet", [ROW], columns=("body", "label")),
        "no-label": write_rows(team, "no-label.parquet", [{**ROW, "label": "spaceship"}]),
        "empty": write_rows(team, "empty.parquet", []),
    }
    data = {key: TINY[key] for key in ("train", "unlabelled", "test")}
    cases: dict[str, tuple[dict[str, Any], str, str]] = {
        "missing-column": ({"dataset": {**data, "train": files["no-column"]}}, "MissingColumn", "text"),
        "unknown-label": ({"dataset": {**data, "train": files["no-label"]}}, "UnknownLabel", "spaceship"),
        "empty-test-set": ({"dataset": {**data, "test": files["empty"]}}, "EmptyTestSet", "test"),
        "wrong-digest": (WRONG_DIGEST, "DigestMismatch", "digest"),
        "nowhere": ({"teachers": [{"model": {"uri": TINY["teacher"] + "-not-there"}}]}, "SourceNotFound", "not-there"),
    }
    for name, (changes, _, _) in cases.items():
        team.job(name, **changes)
    for name, (_, reason, word) in cases.items():
        team.ended(name)
        ready = team.condition("dj", name, "Ready")
        assert (ready["status"], ready["reason"]) == ("False", reason), ready
        assert word in ready["message"]
        assert team.stages_run(name) == ["preflight"]
    described = team.cluster.kubectl("-n", team.name, "describe", "dj", "unknown-label")
    assert "spaceship" in described


def test_grown_data_labels_only_its_new_rows(shared: Team):
    first = shared.get("dj", "first")["status"]["artifacts"]
    rows = [{"text": f"an animal number {i} that nobody has seen", "label": "animal"} for i in range(10)]
    grown = write_rows(shared, "new.parquet", rows, ("text",))
    shared.job("grown", model=None, dataset={"train": TINY["train"], "test": TINY["test"], "unlabelled": grown})
    second = shared.ended("grown")["status"]["artifacts"]
    assert first["labelledRows"] > 10
    assert second["labelledRows"] == 10
    assert second["reusedRows"] > 0
    assert second["labelsKey"] == first["labelsKey"]


def test_a_gpu_that_no_node_has_is_told_in_the_schedulers_words_and_waited_for(team: Team):
    team.job("needs-gpu", model=None, stages={"preflight": {"gpus": 1}})
    waiting = eventually(
        lambda: team.condition("dj", "needs-gpu", "Reconciling"), lambda c: c.get("reason") == "Unschedulable"
    )
    assert "Insufficient nvidia.com/gpu" in waiting["message"]
    node = team.cluster.get("nodes")["items"][0]["metadata"]["name"]
    patch = '[{"op":"%s","path":"/status/capacity/nvidia.com~1gpu"%s}]'
    team.cluster.kubectl(
        "patch", "node", node, "--subresource=status", "--type=json", "-p", patch % ("add", ',"value":"1"')
    )
    try:
        eventually(lambda: team.stages_run("needs-gpu"), lambda stages: "label" in stages, seconds=180)
    finally:
        team.cluster.kubectl("patch", "node", node, "--subresource=status", "--type=json", "-p", patch % ("remove", ""))


def test_nothing_is_written_in_a_minute_without_changes_and_kopf_leaves_no_trace(shared: Team):
    kinds = "dj,dm,jobs,deployments,services,events"

    def versions() -> dict[str, str]:
        items = shared.cluster.get("-n", shared.name, kinds)["items"]
        return {f"{i['kind']}/{i['metadata']['name']}": i["metadata"]["resourceVersion"] for i in items}

    time.sleep(20)  # revisions that were replaced go, and Deployments say their last words
    before = versions()
    time.sleep(60)
    assert versions() == before
    for item in shared.cluster.get("-n", shared.name, "dj,dm,jobs,pods,deployments,services")["items"]:
        metadata = item["metadata"]
        assert not [key for key in metadata.get("annotations", {}) if "kopf" in key], metadata["name"]
        assert not [name for name in metadata.get("finalizers", []) if not name.startswith("batch.kubernetes.io/")]
