"""docs/metrics.md names every metric of the code, with its type, and no other."""

import re

import distillery_operator.metrics  # noqa: F401 - registers the operator's metrics
import pytest
from distillery_api.run import ArtifactRef, ServeRun
from distillery_server.metrics import Metrics
from distillery_worker.progress import Progress
from docs_markdown import DOCS, tables
from prometheus_client import REGISTRY, generate_latest

RUN = ServeRun(
    namespace="team", model="served", revision="1", artifact=ArtifactRef(uri="s3://b/a", digest="sha256:" + "0" * 64)
)


def exposed(text: bytes) -> dict[str, str]:
    """Types by name of our metrics in an exposition; `_created` times are prometheus_client's own."""
    found = re.findall(r"^# TYPE (distillery_\S+) (\w+)$", text.decode(), re.MULTILINE)
    return {name: kind for name, kind in found if not name.endswith("_created")}


def documented(prefix: str) -> dict[str, str]:
    rows = [row for table in tables(DOCS / "metrics.md") for row in table[1:]]
    return {row[0].strip("`"): row[1] for row in rows if row[0].startswith(f"`{prefix}")}


@pytest.mark.parametrize(
    ("prefix", "text"),
    [
        ("distillery_operator_", generate_latest(REGISTRY)),
        ("distillery_server_", Metrics(RUN).text()),
        ("distillery_stage_", generate_latest(Progress("train").registry)),
    ],
    ids=["operator", "server", "stages"],
)
def test_metrics_are_those_of_the_code(prefix, text):
    ours = {name: kind for name, kind in exposed(text).items() if name.startswith(prefix)}
    assert ours
    assert documented(prefix) == ours
