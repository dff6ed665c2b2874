"""A real Prometheus scrapes operator and server, and finds the metrics that the docs name."""

import json
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from conftest import Team, operator_pod
from waiting import eventually


@pytest.fixture
def prometheus(shared: Team, tmp_path: Path) -> Iterator[str]:
    """Prometheus on the host, scraping the pods' own addresses."""
    servers = shared.items("pods", "app.kubernetes.io/name=distillery-server")
    server = next(pod["status"]["podIP"] for pod in servers if "deletionTimestamp" not in pod["metadata"])
    operator = operator_pod(shared.cluster)["status"]["podIP"]
    jobs = [{"job_name": name, "scrape_interval": "1s", "static_configs": [{"targets": [f"{address}:8080"]}]}
            for name, address in (("operator", operator), ("server", server))]  # fmt: skip
    config = tmp_path / "prometheus.yml"
    config.write_text(json.dumps({"scrape_configs": jobs}))
    address = "127.0.0.1:19399"
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={config}",
                f"--storage.tsdb.path={tmp_path}/data",
                f"--web.listen-address={address}",
            ],
            stdout=log,
            stderr=log,
        )
    yield f"http://{address}"
    process.terminate()
    process.wait(20)


def query(url: str, expression: str) -> list[dict[str, Any]]:
    """An instant query; empty while Prometheus starts."""
    try:
        with urllib.request.urlopen(
            f"{url}/api/v1/query?query={urllib.parse.quote(expression)}", timeout=5
        ) as response:
            found: list[dict[str, Any]] = json.load(response)["data"]["result"]
            return found
    except OSError:
        return []


def test_prometheus_reads_operator_and_server(shared: Team, prometheus: str):
    httpx.post(f"{shared.address()}/classify", json={"text": "a bird"}, trust_env=False).raise_for_status()
    up = eventually(lambda: query(prometheus, "up == 1"), lambda found: len(found) == 2)
    assert {series["metric"]["job"] for series in up} == {"operator", "server"}
    assert eventually(lambda: query(prometheus, "distillery_operator_leading == 1"), bool)
    # Not a verdict: those are counted by the process that took them over, which other tests kill.
    passes = 'distillery_operator_reconcile_total{kind="DistilledModel",result="ok"}'
    assert float(eventually(lambda: query(prometheus, passes), bool)[0]["value"][1]) >= 1
    served = eventually(lambda: query(prometheus, 'distillery_server_requests_total{model_name="served"}'), bool)
    assert {"model_name", "model_version", "variant"} <= set(served[0]["metric"])
