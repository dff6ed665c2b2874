"""A student that passed answers callers; better ones follow it, worse ones never do."""

import copy
import io
import json
import os
import time
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
from conftest import INPUTS, Team
from distillery_storage import open_prefix
from load import Load
from waiting import eventually


def digest_of(team: Team, job: str) -> str:
    digest: str = team.get("dj", job)["status"]["artifacts"]["artifactDigest"]
    return digest


def test_callers_get_the_very_answers_that_were_evaluated(shared: Team):
    """The per-item results of the verdict, asked again over HTTP."""
    report = shared.get("dj", "first")["status"]["verdict"]["reportUri"].rsplit("/", 1)[0]
    kept = pq.read_table(io.BytesIO(prefix(shared, report).read("items.parquet"))).to_pylist()[:100]
    test = pq.read_table(io.BytesIO(prefix(shared, INPUTS).read("test.parquet"))).column("text").to_pylist()[:100]
    with httpx.Client(base_url=shared.address(), timeout=10, trust_env=False) as client:
        answer = client.post("/classify", json={"texts": test})
    assert answer.status_code == 200, answer.text
    assert [result["label"] for result in answer.json()["results"]] == [row["student"] for row in kept]
    assert len({row["student"] for row in kept}) > 2


def test_the_student_speaks_the_open_inference_protocol_and_explains_wrong_requests(shared: Team):
    with httpx.Client(base_url=shared.address(), timeout=10, trust_env=False) as client:
        request = {"inputs": [{"name": "text", "datatype": "BYTES", "shape": [1], "data": ["a town in France"]}]}
        inference = client.post("/v2/models/served/infer", json=request).json()
        outputs = {output["name"]: output for output in inference["outputs"]}
        assert outputs["label"]["data"] == ["location"]
        assert outputs["probabilities"]["shape"] == [1, 4]
        assert client.get("/v2/health/live").status_code == 200
        assert client.get("/v2/health/ready").status_code == 200
        assert client.get("/v2/models/served").json()["name"] == "served"
        wrong = client.post("/classify", json={"text": 7})
        assert wrong.status_code == 400
        assert "text" in wrong.json()["error"]


def test_status_shows_the_evidence(shared: Team):
    status = shared.get("dj", "first")["status"]
    retention = next(c for c in status["verdict"]["criteria"] if c["name"] == "retention")
    assert retention["low"] > retention["threshold"] == 0.8
    assert retention["items"] == 2000
    assert {m["name"] for m in status["verdict"]["measured"]} >= {"teacher", "student"}
    active = shared.get("dm", "served")["status"]["active"]
    assert active["reportDigest"] == status["verdict"]["reportDigest"]
    printed = shared.cluster.kubectl("-n", shared.name, "get", "dj,dm")
    assert "Pass" in printed
    assert "True" in printed


def test_soft_labels_are_reused_and_a_student_below_the_gate_never_serves(shared: Team):
    before = shared.get("dm", "served")["status"]["active"]
    tiny = {"hiddenSize": 8, "layers": 1, "attentionHeads": 1, "intermediateSize": 8, "embeddings": "Random"}
    shared.job("too-small", student={"config": tiny}, training={"epochs": 1, "learningRate": 1e-6})
    job = shared.ended("too-small")
    assert job["status"]["verdict"]["result"] == "Fail"
    assert "label" not in shared.stages_run("too-small")
    assert job["status"]["artifacts"]["labelledRows"] == 0
    rejected = eventually(
        lambda: shared.condition("dm", "served", "CandidateRejected"), lambda c: c.get("status") == "True"
    )
    assert rejected["reason"] == "RetentionBelowThreshold"
    assert shared.get("dm", "served")["status"]["active"] == before
    assert len(shared.items("deployments")) == 1


def test_a_student_that_is_no_worse_replaces_the_first_under_load_without_a_failed_request(shared: Team):
    first = digest_of(shared, "first")
    with Load(shared.address(), callers=3, pause=0.1) as load:
        shared.job("second", training={"epochs": 3, "learningRate": 0.005, "seed": 7})
        shared.passed("second")
        second = digest_of(shared, "second")
        assert second != first
        shared.serves(second)
        eventually(lambda: len(shared.items("deployments")), lambda count: count == 1)
        time.sleep(8)  # the old pods drain
    assert set(load.outcomes) == {"200"}, load.outcomes
    assert load.outcomes["200"] > 100
    assert set(load.versions) == {digest.removeprefix("sha256:")[:12] for digest in (first, second)}


def test_a_changed_interface_is_held_back(shared: Team):
    serving = shared.get("dm", "served")["status"]["active"]["digest"]
    renamed = rename_label(shared)
    shared.job("relabelled", teachers=[{"model": {"uri": renamed["teacher"]}}],
               dataset={key: renamed[key] for key in ("train", "unlabelled", "test")})  # fmt: skip
    shared.ended("relabelled")
    held = eventually(
        lambda: shared.condition("dm", "served", "CandidateRejected"), lambda c: c.get("reason") == "InterfaceChanged"
    )
    assert "label names" in held["message"]
    assert shared.get("dm", "served")["status"]["active"]["digest"] == serving


def rename_label(team: Team) -> dict[str, str]:
    """The tiny case with the label `person` called `human`, copied to the team's own inputs."""
    source, target = prefix(team, INPUTS), prefix(team, f"{team.storage}-inputs")
    for path in source.list():
        data = source.read(path)
        if path == "teacher/config.json":
            config: dict[str, Any] = json.loads(data)
            config["id2label"] = {k: "human" if v == "person" else v for k, v in config["id2label"].items()}
            config["label2id"] = {v: int(k) for k, v in config["id2label"].items()}
            data = json.dumps(config).encode()
        elif path in ("train.parquet", "test.parquet"):
            rows = copy.deepcopy(pq.read_table(io.BytesIO(data)).to_pylist())
            for row in rows:
                row["label"] = "human" if row["label"] == "person" else row["label"]
            buffer = io.BytesIO()
            pq.write_table(pa.Table.from_pylist(rows), buffer)
            data = buffer.getvalue()
        target.write(path, data)
    root = f"{team.storage}-inputs"
    return {"teacher": f"{root}/teacher"} | {name: f"{root}/{name}.parquet" for name in ("train", "unlabelled", "test")}


def prefix(team: Team, uri: str) -> Any:
    """The object store as this machine reaches it."""
    os.environ |= team.cluster.credentials()
    return open_prefix(uri)
