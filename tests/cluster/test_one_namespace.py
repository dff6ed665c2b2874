"""The chart for one namespace: its rights are enough there, and end there."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from chart_render import NAMESPACE
from controlplane import ControlPlane
from kubelet import Kubelet
from kubernetes import client, config
from namespaces import Namespace, new_namespace
from operator_process import OperatorProcess, account, grant
from waiting import eventually

TENANT = "tenant"


@pytest.fixture
def elsewhere(api: client.ApiClient) -> Namespace:
    return new_namespace(api)


@pytest.fixture
def kubeconfig(plane: ControlPlane, operator_kubeconfig: Path, namespace: Namespace, tmp_path: Path) -> Path:
    """Of an account that the chart gives rights in `namespace`."""
    grant(plane, tmp_path, watchNamespace=namespace.name, fullnameOverride=TENANT)
    return account(plane, tmp_path, TENANT)


@pytest.fixture
def tenant(kubeconfig: Path, namespace: Namespace, tmp_path: Path) -> Iterator[OperatorProcess]:
    operator = OperatorProcess(kubeconfig, tmp_path, f"--lease={NAMESPACE}/{TENANT}", f"--identity={tmp_path.name}")
    operator.settings["watchNamespace"] = namespace.name
    yield operator
    if operator.process is not None and operator.process.poll() is None:
        operator.kill()
    print(operator.log.read_text()[-4000:])


def test_it_works_in_its_namespace_and_sees_no_other(
    tenant: OperatorProcess, kubelet: Kubelet, namespace: Namespace, elsewhere: Namespace
):
    elsewhere.model()
    elsewhere.job("foreign")
    tenant.start()
    namespace.model()
    namespace.job("ours")
    digest = namespace.ended("ours")["status"]["artifacts"]["artifactDigest"]
    namespace.serving(digest)
    time.sleep(4)  # a resync
    assert tenant.process is not None
    assert tenant.process.poll() is None
    assert elsewhere.job_names() == []
    assert elsewhere.get("distillationjobs", "foreign")["status"]["observedGeneration"] == -1
    for unwanted in ("Forbidden", "unhealthy", "Not enough permissions"):
        assert unwanted not in tenant.log.read_text()


@pytest.mark.parametrize(
    ("plural", "verb"),
    [("distillationjobs", "list"), ("distilledmodels", "watch"), ("jobs", "create"), ("pods", "list")],
)
def test_its_account_may_do_nothing_elsewhere(
    kubeconfig: Path, namespace: Namespace, elsewhere: Namespace, plural: str, verb: str
):
    group = {"jobs": "batch", "pods": ""}.get(plural, "distillery.dev")
    reviews = client.AuthorizationV1Api(config.new_client_from_config(str(kubeconfig)))

    def may(where: str) -> bool:
        asked = {"namespace": where, "group": group, "resource": plural, "verb": verb}
        review = reviews.create_self_subject_access_review({"spec": {"resourceAttributes": asked}})
        return bool(review.status.allowed)

    assert eventually(lambda: may(namespace.name), bool)  # rights arrive a moment after their Role
    assert not may(elsewhere.name)
    assert not may("")


def test_without_rights_in_its_namespace_it_says_what_it_lacks_and_stops(tenant: OperatorProcess, elsewhere: Namespace):
    tenant.settings["watchNamespace"] = elsewhere.name
    tenant.start()
    assert tenant.process is not None
    assert tenant.process.wait(20) == 1
    assert "cannot list resource" in tenant.log.read_text()
    assert elsewhere.name in tenant.log.read_text()
