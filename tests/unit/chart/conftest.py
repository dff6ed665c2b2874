"""One helm for all tests of the chart, and the chart rendered once with its own values."""

import pytest
from chart_render import Helm, Manifest


@pytest.fixture(scope="session")
def helm(tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """Helm with a home of its own."""
    return Helm(tmp_path_factory.mktemp("helm"))


@pytest.fixture(scope="session")
def manifests(helm: Helm) -> list[Manifest]:
    """What `helm install` with no values applies."""
    return helm.template()
