"""Logs and metrics of the operator process at work."""

import json
import re
import urllib.request
from typing import Any

from kubelet import Kubelet
from namespaces import Namespace
from operator_process import OperatorProcess
from waiting import eventually

KINDS = {"DistillationJob", "DistilledModel", "Job", "Pod", "Deployment", "Service", "HorizontalPodAutoscaler"}


def metrics(operator: OperatorProcess) -> dict[str, float]:
    """Values of all series, by name and labels as they are written."""
    with urllib.request.urlopen(f"http://127.0.0.1:{operator.metrics_port}/metrics", timeout=5) as response:
        lines = response.read().decode().splitlines()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if not line.startswith("#")}


def logged(operator: OperatorProcess) -> list[dict[str, Any]]:
    return [json.loads(line) for line in operator.log.read_text().splitlines()]


def test_every_line_about_an_object_names_it_its_generation_and_its_stage(
    operator: OperatorProcess, kubelet: Kubelet, namespace: Namespace
):
    namespace.job("first")
    namespace.ended("first")
    lines = [line for line in logged(operator) if line.get("object", {}).get("namespace") == namespace.name]
    assert {line["object"]["name"] for line in lines} == {"first"}
    assert {line["generation"] for line in lines} == {1}
    wrote = [line["stage"] for line in lines if line["message"].startswith("wrote Job")]
    assert wrote == ["preflight", "label", "train", "compress", "evaluate"]
    assert not [line for line in logged(operator) if "wrote" in line["message"] and "object" not in line]


def test_metrics_tell_of_stages_and_verdicts_by_namespace_until_its_last_object_goes(
    operator: OperatorProcess, kubelet: Kubelet, namespace: Namespace
):
    namespace.job("first")
    namespace.ended("first")
    label = f'namespace="{namespace.name}"'
    ended = f'distillery_operator_stages_total{{{label},stage="train",state="Done"}}'
    assert eventually(lambda: metrics(operator), lambda found: ended in found)[ended] == 1
    found = metrics(operator)
    assert found[f'distillery_operator_verdicts_total{{{label},result="Pass"}}'] == 1
    assert found[f'distillery_operator_stage_seconds_count{{{label},stage="train",state="Done"}}'] == 1
    namespace.custom.delete_namespaced_custom_object(
        "distillery.dev", "v1alpha1", namespace.name, "distillationjobs", "first"
    )
    eventually(lambda: [series for series in metrics(operator) if label in series], lambda series: not series)


def test_metrics_tell_how_the_operator_fares(operator: OperatorProcess, kubelet: Kubelet, namespace: Namespace):
    namespace.job("first")
    namespace.ended("first")
    found = metrics(operator)
    ages = {re.findall('kind="(.+)"', series)[0]: age for series, age in found.items() if "watch_age" in series}
    assert set(ages) == KINDS
    assert min(ages.values()) >= 0
    assert found['distillery_operator_queue_seconds_count{kind="DistillationJob"}'] > 0
    assert found['distillery_operator_queue_depth{kind="DistillationJob"}'] >= 0
    assert found['distillery_operator_api_requests_total{code="201",kind="Job",verb="POST"}'] >= 5
