"""The operator process against a real API server and the real Job and Deployment controllers."""

import copy
import re
import signal
import time
import urllib.request

import pytest
from distillery_api.schema import Failure
from kubelet import Kubelet
from kubernetes import client
from namespaces import Namespace
from operator_process import OperatorProcess
from stage_results import DIGESTS
from waiting import eventually

STAGES = ["compress", "evaluate", "label", "preflight", "train"]


def test_a_job_runs_its_stages_and_its_student_serves(
    operator: OperatorProcess, kubelet: Kubelet, namespace: Namespace
):
    namespace.model(serving={"replicas": 2})
    namespace.job("first")
    job = namespace.ended("first")
    assert job["status"]["verdict"]["result"] == "Pass"
    assert job["status"]["observedGeneration"] == 1
    assert namespace.stages_run() == STAGES
    namespace.serving(DIGESTS["artifact"])
    service = namespace.core.read_namespaced_service("served", namespace.name)
    pods = namespace.core.list_namespaced_pod(
        namespace.name, label_selector=",".join(f"{k}={v}" for k, v in service.spec.selector.items())
    ).items
    assert len(pods) == 2


def test_a_student_below_the_gate_never_serves(operator: OperatorProcess, kubelet: Kubelet, namespace: Namespace):
    namespace.model()
    namespace.job("first")
    namespace.serving(DIGESTS["artifact"])
    kubelet.verdict, kubelet.artifact = "Fail", "sha256:" + "7" * 64
    namespace.job("worse")
    namespace.ended("worse")
    eventually(
        lambda: namespace.condition("distilledmodels", "served", "CandidateRejected"),
        lambda c: c.get("reason") == "RetentionBelowThreshold",
    )
    assert len(namespace.apps.list_namespaced_deployment(namespace.name).items) == 1
    assert namespace.get("distilledmodels", "served")["status"]["active"]["digest"] == DIGESTS["artifact"]


def test_a_person_promotes_a_student_that_the_rows_did_not_decide_on(
    operator: OperatorProcess, kubelet: Kubelet, namespace: Namespace
):
    namespace.model()
    namespace.job("first")
    namespace.serving(DIGESTS["artifact"])
    kubelet.verdict, kubelet.artifact = "Inconclusive", "sha256:" + "7" * 64
    namespace.job("undecided")
    eventually(
        lambda: namespace.condition("distilledmodels", "served", "CandidateRejected"),
        lambda c: c.get("reason") == "Inconclusive",
    )
    [*_, last] = namespace.get("distilledmodels", "served")["status"]["history"]
    assert last["evidence"] in namespace.condition("distilledmodels", "served", "CandidateRejected")["message"]
    namespace.annotate("distilledmodels", "served", {"distillery.dev/promote": last["evidence"]})
    namespace.serving(kubelet.artifact)
    status = namespace.get("distilledmodels", "served")["status"]
    assert (status["active"]["byHand"], status["history"][-1]["reason"]) == (True, "PromotedByHand")


def test_a_better_student_replaces_the_first_and_the_old_one_goes(
    operator: OperatorProcess, kubelet: Kubelet, namespace: Namespace
):
    namespace.model()
    namespace.job("first")
    namespace.serving(DIGESTS["artifact"])
    kubelet.artifact = "sha256:" + "7" * 64
    namespace.job("second")
    namespace.serving(kubelet.artifact)
    eventually(lambda: len(namespace.apps.list_namespaced_deployment(namespace.name).items), lambda n: n == 1)


def test_no_label_job_starts_when_every_row_has_soft_labels(
    operator: OperatorProcess, kubelet: Kubelet, namespace: Namespace
):
    kubelet.missing_rows = 0
    namespace.job("reuses")
    job = namespace.ended("reuses")
    assert job["status"]["verdict"]["result"] == "Pass"
    assert "label" not in namespace.stages_run()


def test_a_wrong_input_is_a_condition_and_an_event(operator: OperatorProcess, kubelet: Kubelet, namespace: Namespace):
    words = "train.parquet has no column text: set dataset.columns.text to one of a, b"
    kubelet.failures["preflight"] = Failure(reason="MissingColumn", message=words)
    namespace.job("wrong")
    namespace.ended("wrong")
    assert namespace.condition("distillationjobs", "wrong", "Stalled")["message"] == words
    events = eventually(lambda: namespace.core.list_namespaced_event(namespace.name).items, bool)
    assert [(e.reason, e.message) for e in events if e.involved_object.name == "wrong"] == [("MissingColumn", words)]


@pytest.mark.parametrize("stage", STAGES)
def test_an_operator_killed_in_a_stage_goes_on_without_a_second_job(
    operator: OperatorProcess, kubelet: Kubelet, namespace: Namespace, stage: str
):
    kubelet.hold = {stage}
    namespace.job("survivor")
    eventually(namespace.stages_run, lambda stages: stage in stages)
    operator.kill()
    kubelet.hold = set()
    operator.start()
    job = namespace.ended("survivor")
    assert job["status"]["verdict"]["result"] == "Pass"
    assert namespace.stages_run() == STAGES


def test_results_that_came_while_the_operator_was_away_are_taken(
    operator: OperatorProcess, kubelet: Kubelet, namespace: Namespace
):
    kubelet.hold = {"train"}
    namespace.job("away")
    eventually(namespace.stages_run, lambda stages: "train" in stages)
    operator.kill()
    kubelet.hold = set()
    train = next(name for name in namespace.job_names() if "-train-" in name)
    eventually(lambda: namespace.batch.read_namespaced_job(train, namespace.name).status.succeeded, lambda n: n == 1)
    operator.start()
    namespace.ended("away")
    assert namespace.stages_run() == STAGES


def test_a_job_that_is_deleted_and_created_again_adopts_nothing(
    operator: OperatorProcess, kubelet: Kubelet, namespace: Namespace
):
    kubelet.hold = {"label"}
    namespace.job("again")
    eventually(namespace.stages_run, lambda stages: "label" in stages)
    old = namespace.job_names()
    namespace.custom.delete_namespaced_custom_object(
        "distillery.dev", "v1alpha1", namespace.name, "distillationjobs", "again"
    )
    eventually(namespace.job_names, lambda names: not names)
    kubelet.hold = set()
    namespace.job("again")
    namespace.ended("again")
    assert not set(old) & set(namespace.job_names())


def test_a_foreign_service_under_the_models_name_is_left_alone(
    operator: OperatorProcess, kubelet: Kubelet, namespace: Namespace
):
    foreign = {"metadata": {"name": "served"}, "spec": {"ports": [{"port": 1}], "selector": {"app": "theirs"}}}
    namespace.core.create_namespaced_service(namespace.name, foreign)
    namespace.model()
    namespace.job("first")
    condition = eventually(
        lambda: namespace.condition("distilledmodels", "served", "Stalled"), lambda c: c.get("status") == "True"
    )
    assert condition["reason"] == "NameTaken"
    assert "url" not in namespace.get("distilledmodels", "served")["status"]
    assert namespace.core.read_namespaced_service("served", namespace.name).spec.selector == {"app": "theirs"}


def test_a_pod_setting_that_kubernetes_refuses_is_told_in_its_words(
    operator: OperatorProcess, kubelet: Kubelet, namespace: Namespace
):
    namespace.job("refused", stages={"preflight": {"nodeSelector": {"not a key!": "x"}}})
    job = namespace.ended("refused")
    ready = next(c for c in job["status"]["conditions"] if c["type"] == "Ready")
    assert ready["reason"] == "ChildRefused"
    assert "nodeSelector" in ready["message"]


def test_nothing_is_written_when_nothing_changes_and_kopf_leaves_no_trace(
    operator: OperatorProcess, kubelet: Kubelet, namespace: Namespace
):
    namespace.model()
    namespace.job("first")
    namespace.serving(DIGESTS["artifact"])
    time.sleep(2)  # the last events of the rollout
    before = written(operator)
    versions = {kind: namespace.get(kind, name)["metadata"]["resourceVersion"]
                for kind, name in (("distillationjobs", "first"), ("distilledmodels", "served"))}  # fmt: skip
    time.sleep(10)  # three resyncs
    assert written(operator) == before
    for kind, name in (("distillationjobs", "first"), ("distilledmodels", "served")):
        metadata = namespace.get(kind, name)["metadata"]
        assert metadata["resourceVersion"] == versions[kind]
        assert "finalizers" not in metadata
        assert not [key for key in metadata.get("annotations", {}) if "kopf" in key]


def written(operator: OperatorProcess) -> float:
    """Writes to the API so far, as the operator's own metrics count them."""
    lines = scrape(f"http://127.0.0.1:{operator.metrics_port}/metrics").splitlines()
    pattern = re.compile(r'distillery_operator_api_requests_total\{.*verb="(?:POST|PATCH|PUT|DELETE)"\} (\S+)')
    return sum(float(match[1]) for line in lines if (match := pattern.match(line)))


def scrape(url: str) -> str:
    with urllib.request.urlopen(url, timeout=5) as response:
        text: str = response.read().decode()
        return text


def test_the_operator_is_alive_by_its_probe_and_leaves_on_sigterm(operator: OperatorProcess, namespace: Namespace):
    def alive() -> str:
        try:
            return scrape(f"http://127.0.0.1:{operator.health_port}/healthz")
        except OSError:
            return ""

    assert "ok" in eventually(alive, bool)
    assert operator.kill(signal.SIGTERM) == 0


def test_an_operator_with_another_versions_crds_says_which_and_stops(
    plane: object, api: client.ApiClient, operator: OperatorProcess, namespace: Namespace
):
    eventually(operator.log.read_text, lambda text: '"started"' in text)
    operator.kill()
    extensions = client.ApiextensionsV1Api(api)
    name = "distilledmodels.distillery.dev"
    held = api.sanitize_for_serialization(extensions.read_custom_resource_definition(name))["spec"]["versions"]
    older = copy.deepcopy(held)
    spec = older[0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    del spec["properties"]["promotion"], spec["x-kubernetes-validations"]  # of which all name it
    extensions.patch_custom_resource_definition(name, {"spec": {"versions": older}})
    try:
        operator.start()
        assert operator.process is not None
        assert operator.process.wait(20) == 1
        assert "of another version; run `helm upgrade`" in operator.log.read_text()
    finally:
        extensions.patch_custom_resource_definition(name, {"spec": {"versions": held}})
