"""docs/metrics.md names every metric of the code, with its type, and no other."""

import re

import distillery_operator.metrics
import pytest
from distillery_api.run import ArtifactRef, ServeRun
from distillery_server.metrics import Metrics
from distillery_worker.progress import Progress
from docs_markdown import DOCS, tables
from prometheus_client import REGISTRY, generate_latest
from prometheus_client.metrics import MetricWrapperBase

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


def test_the_operators_metrics_have_the_labels_that_the_page_lists():
    metrics = [m for m in vars(distillery_operator.metrics).values() if isinstance(m, MetricWrapperBase)]
    labels = {metric.describe()[0].name: metric._labelnames for metric in metrics}
    rows = [row for table in tables(DOCS / "metrics.md") for row in table[1:]]
    listed = {row[0].strip("`").removesuffix("_total"): tuple(filter(None, row[2].split(", "))) for row in rows}
    assert labels
    assert {name: listed[name] for name in labels} == labels
