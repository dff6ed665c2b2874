"""`explain` against a real API server: it foresees what the operator then does, and writes nothing."""

import json
import subprocess
import sys
from typing import Any

from kubelet import Kubelet
from namespaces import Namespace
from operator_process import OperatorProcess
from stage_results import DIGESTS
from waiting import eventually


def run(operator: OperatorProcess, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command, as the chart's own account."""
    settings = operator.folder / "explained.json"
    settings.write_text(json.dumps(operator.settings))
    command = [sys.executable, "-m", "distillery_operator", "explain", *arguments]
    places = ["--settings", str(settings), "--kubeconfig", str(operator.kubeconfig)]
    return subprocess.run([*command, *places], capture_output=True, text=True, env=operator.environment, check=False)


def explain(operator: OperatorProcess, kind: str, namespace: Namespace, name: str) -> dict[str, Any]:
    answer = run(operator, kind, namespace.name, name, "--json")
    assert answer.returncode == 0, answer.stderr
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


def running(job: dict[str, Any]) -> list[str]:
    """Stages that the status calls Running."""
    stages = job.get("status", {}).get("stages", ())
    return [stage["name"] for stage in stages if stage["state"] == "Running"]


def test_what_is_foretold_for_a_lost_job_is_what_happens(
    operator: OperatorProcess, kubelet: Kubelet, namespace: Namespace
):
    kubelet.hold = {"train"}
    namespace.job("lost")
    eventually(lambda: namespace.get("distillationjobs", "lost"), lambda job: "train" in running(job))
    operator.kill()
    train = next(name for name in namespace.job_names() if "-train-" in name)
    namespace.batch.delete_namespaced_job(train, namespace.name, propagation_policy="Background")
    eventually(namespace.job_names, lambda names: train not in names)
    version = namespace.get("distillationjobs", "lost")["metadata"]["resourceVersion"]
    found = explain(operator, "dj", namespace, "lost")
    (job,) = found["jobs"]
    assert (job["verb"], job["stage"], job["attempt"]) == ("create", "train", 2)
    assert found["events"][0]["reason"] == "StageRepeated"
    assert namespace.get("distillationjobs", "lost")["metadata"]["resourceVersion"] == version
    assert not [name for name in namespace.job_names() if "-train-" in name]
    operator.start()
    eventually(namespace.job_names, lambda names: job["name"] in names)


def test_a_running_job_is_left_to_run_and_the_words_say_so(
    operator: OperatorProcess, kubelet: Kubelet, namespace: Namespace
):
    kubelet.hold = {"label"}
    namespace.job("busy")
    eventually(lambda: namespace.get("distillationjobs", "busy"), running)
    answer = run(operator, "DistillationJob", namespace.name, "busy")
    assert answer.returncode == 0, answer.stderr
    assert "Next:\n  nothing\n" in answer.stdout
    assert "Ready=Unknown Labelling: the label stage is under way" in answer.stdout


def test_a_name_that_another_holds_is_foreseen(operator: OperatorProcess, kubelet: Kubelet, namespace: Namespace):
    namespace.model()
    namespace.job("first")
    namespace.serving(DIGESTS["artifact"])
    operator.kill()
    namespace.core.delete_namespaced_service("served", namespace.name)
    foreign = {"metadata": {"name": "served"}, "spec": {"ports": [{"port": 1}], "selector": {"app": "theirs"}}}
    namespace.core.create_namespaced_service(namespace.name, foreign)
    why = {condition["type"]: condition for condition in explain(operator, "dm", namespace, "served")["why"]}
    assert why["Ready"]["reason"] == "NameTaken"


def test_an_object_that_is_not_there_is_an_error(operator: OperatorProcess, namespace: Namespace):
    answer = run(operator, "dm", namespace.name, "nobody")
    assert answer.returncode == 1
    assert f"no DistilledModel nobody in namespace {namespace.name}" in answer.stderr
