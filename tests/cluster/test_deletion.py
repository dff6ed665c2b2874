"""What is taken away under the operator: namespaces, the chart, CRDs. Nothing hangs, and what comes back works."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chart_render import CHART, NAMESPACE, RELEASE, Helm
from controlplane import ControlPlane
from kubelet import Kubelet
from kubernetes import client, config
from namespaces import GROUP, Namespace, new_namespace
from operator_process import CONTROLLERS, CRDS, OperatorProcess, account
from stage_results import DIGESTS
from waiting import eventually

KINDS = ("distillationjobs", "distilledmodels")


def busy(namespace: Namespace, kubelet: Kubelet) -> None:
    """A model that serves, and a job in the middle."""
    namespace.model()
    namespace.job("first")
    namespace.serving(DIGESTS["artifact"])
    kubelet.hold = {"train"}
    namespace.job("running")
    eventually(
        namespace.job_names, lambda names: any(name.startswith("running-") and "-train-" in name for name in names)
    )


def gone(read: Any) -> bool:
    try:
        read()
    except client.ApiException as error:
        return int(error.status) == 404
    return False


def delete_namespace(namespace: Namespace) -> None:
    """Until it is gone."""
    namespace.core.delete_namespace(namespace.name)
    eventually(lambda: gone(lambda: namespace.core.read_namespace(namespace.name)), bool)


def test_a_namespace_with_a_running_job_and_a_served_model_can_be_deleted(
    operator: OperatorProcess, kubelet: Kubelet, namespace: Namespace, api: client.ApiClient
):
    busy(namespace, kubelet)
    delete_namespace(namespace)
    assert operator.process is not None
    assert operator.process.poll() is None
    kubelet.hold = set()
    other = new_namespace(api)
    other.job("next")
    other.ended("next")


class Release:
    """A control plane of its own with the chart installed by Helm; the operator runs under the chart's account."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # Applied before the controllers start: the garbage collector looks for new kinds every 30 s.
        self.plane = ControlPlane(folder / "plane", controllers=CONTROLLERS, manifests=CRDS)
        self.plane.start()
        self.api = config.new_client_from_config(str(self.plane.kubeconfig))
        self.extensions = client.ApiextensionsV1Api(self.api)

    def helm(self, *arguments: str) -> None:
        options = [f"--kubeconfig={self.plane.kubeconfig}", f"--namespace={NAMESPACE}"]
        done = subprocess.run(
            [Helm(self.folder).path, *arguments, *options],
            env={"HOME": str(self.folder), "PATH": ""}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

    def install(self) -> None:
        self.helm("install", RELEASE, str(CHART), "--create-namespace", "--take-ownership", "--force-conflicts")

    def operator(self) -> OperatorProcess:
        folder = self.folder / "operator"
        folder.mkdir(exist_ok=True)
        flags = (f"--lease={NAMESPACE}/{RELEASE}", "--identity=pod")
        return OperatorProcess(account(self.plane, folder), folder, *flags)

    def crds(self) -> set[str]:
        return {crd.metadata.name for crd in self.extensions.list_custom_resource_definition().items}

    def delete_crd(self, plural: str) -> None:
        """Until it is gone, and with it all its objects."""
        name = f"{plural}.{GROUP}"
        self.extensions.delete_custom_resource_definition(name)
        eventually(lambda: name in self.crds(), lambda held: not held)


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Release]:
    release = Release(tmp_path_factory.mktemp("release"))
    release.install()
    yield release
    release.plane.stop()


@pytest.fixture
def running(release: Release) -> Iterator[tuple[OperatorProcess, Kubelet, Namespace]]:
    operator = release.operator()
    operator.start()
    with Kubelet(release.api) as kubelet:
        yield operator, kubelet, new_namespace(release.api)
    if operator.process is not None and operator.process.poll() is None:
        operator.kill()
    print(operator.log.read_text()[-4000:])


@pytest.mark.parametrize("plural", KINDS)
def test_an_operator_whose_crd_is_deleted_says_so_stops_and_works_when_it_is_back(
    release: Release, running: tuple[OperatorProcess, Kubelet, Namespace], plural: str
):
    operator, kubelet, namespace = running
    busy(namespace, kubelet)
    release.delete_crd(plural)
    assert operator.process is not None
    assert operator.process.wait(60) == 1
    assert f"{plural}.{GROUP}" in operator.log.read_text().splitlines()[-1]
    operator.start()
    assert operator.process.wait(20) == 1
    assert f"the CRD {plural}.{GROUP} is not installed; set crds.enabled=true" in operator.log.read_text()
    release.helm("upgrade", RELEASE, str(CHART))
    operator.start()
    kubelet.hold = set()
    after = new_namespace(release.api)
    after.model()
    after.job("after")
    after.ended("after")
    after.serving(DIGESTS["artifact"])


def test_without_the_chart_what_serves_goes_on_and_everything_can_be_deleted(
    release: Release, running: tuple[OperatorProcess, Kubelet, Namespace]
):
    operator, kubelet, namespace = running
    busy(namespace, kubelet)
    operator.kill()
    release.helm("uninstall", RELEASE)
    assert release.crds() == {f"{plural}.{GROUP}" for plural in KINDS}
    assert namespace.apps.list_namespaced_deployment(namespace.name).items
    assert namespace.get("distilledmodels", "served")["status"]["active"]["digest"] == DIGESTS["artifact"]
    namespace.custom.delete_namespaced_custom_object(GROUP, "v1alpha1", namespace.name, "distillationjobs", "running")
    eventually(namespace.job_names, lambda names: not [name for name in names if name.startswith("running-")])
    delete_namespace(namespace)
    for plural in KINDS:
        release.delete_crd(plural)
