"""A real kube-apiserver with the Job, Deployment and garbage-collection controllers, and the operator as a process."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from audit import Audit
from controlplane import ControlPlane
from kubelet import Kubelet
from kubernetes import client, config
from namespaces import Namespace, new_namespace
from operator_process import OperatorProcess, control_plane, operator_account


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.cluster)


@pytest.fixture(scope="session")
def audit(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    return Audit(tmp_path_factory.mktemp("audit"))


@pytest.fixture(scope="session")
def plane(tmp_path_factory: pytest.TempPathFactory, audit: Audit) -> Iterator[ControlPlane]:
    plane = control_plane(tmp_path_factory.mktemp("plane"), apiserver_flags=audit.flags())
    plane.start()
    yield plane
    plane.stop()


@pytest.fixture(scope="session")
def api(plane: ControlPlane) -> client.ApiClient:
    return config.new_client_from_config(str(plane.kubeconfig))


@pytest.fixture(scope="session")
def operator_kubeconfig(plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return operator_account(plane, tmp_path_factory.mktemp("account"))


@pytest.fixture
def kubelet(api: client.ApiClient) -> Iterator[Kubelet]:
    with Kubelet(api) as kubelet:
        yield kubelet


@pytest.fixture
def operator_settings() -> dict[str, Any]:
    """What the tests of a module set besides."""
    return {}


@pytest.fixture
def operator(operator_kubeconfig: Path, operator_settings: dict[str, Any], tmp_path: Path) -> Iterator[OperatorProcess]:
    operator = OperatorProcess(operator_kubeconfig, tmp_path)
    operator.settings |= operator_settings
    operator.start()
    yield operator
    if operator.process is not None and operator.process.poll() is None:
        operator.kill()
    print(operator.log.read_text()[-4000:])


@pytest.fixture
def namespace(api: client.ApiClient) -> Namespace:
    return new_namespace(api)
