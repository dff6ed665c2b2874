"""CPU quota, admission, softmax, batches and logs."""

import asyncio
import json
import logging
import os
from pathlib import Path

import numpy as np
import pytest
from distillery_api.artifact import ArtifactManifest
from distillery_engine import ArtifactInvalid
from distillery_server.admission import Admission, QueueFull
from distillery_server.cpu import cpu_count
from distillery_server.logs import JsonFormatter
from distillery_server.model import Model, softmax


@pytest.mark.parametrize(
    ("files", "host_cpus", "expected"),
    [
        pytest.param({"cpu.max": "200000 100000\n"}, 64, 2, id="quota of two CPUs"),
        pytest.param({"cpu.max": "25000 100000\n"}, 64, 1, id="a quarter of a CPU"),
        pytest.param({"cpu.max": "150000 100000\n"}, 64, 2, id="one and a half CPUs"),
        pytest.param({"cpu.max": "1600000 100000\n"}, 64, 16, id="quota above the cap"),
        pytest.param({"cpu.max": "1600000 100000\n"}, 8, 8, id="quota above the host"),
        pytest.param({"cpu.max": "max 100000\n"}, 64, 4, id="no quota on a big host"),
        pytest.param({"cpu.max": "max 100000\n"}, 2, 2, id="no quota on a small host"),
        pytest.param({"cpu/cpu.cfs_quota_us": "300000", "cpu/cpu.cfs_period_us": "100000"}, 64, 3, id="cgroup v1"),
        pytest.param({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 64, 4, id="v1, no quota"),
        pytest.param({}, 64, 4, id="no cgroup"),
    ],
)
def test_cpus_follow_the_quota_of_the_container(
    files: dict[str, str], host_cpus: int, expected: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(host_cpus)))
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    assert cpu_count(tmp_path) == expected


async def test_admission_serves_in_order_and_turns_away_beyond_the_bound() -> None:
    admission = Admission(workers=1, max_waiting=1)
    served: list[str] = []
    release = asyncio.Event()

    async def request(name: str) -> None:
        async with admission.slot():
            served.append(name)
            await release.wait()

    tasks = [asyncio.create_task(request(name)) for name in ("first", "second")]
    await asyncio.sleep(0)
    assert (served, admission.waiting) == (["first"], 1)
    with pytest.raises(QueueFull):
        await request("third")
    release.set()
    await asyncio.gather(*tasks)
    assert (served, admission.waiting) == (["first", "second"], 0)


async def test_a_cancelled_wait_leaves_the_queue() -> None:
    admission = Admission(workers=1, max_waiting=1)
    async with admission.slot():
        waiting = asyncio.create_task(admission.slot().__aenter__())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert admission.waiting == 0
    async with admission.slot():
        pass


def test_softmax_survives_large_logits() -> None:
    assert softmax(np.array([[1000.0, 1000.0], [0.0, -1000.0]], dtype=np.float32)).tolist() == [[0.5, 0.5], [1.0, 0.0]]


def test_texts_of_mixed_length_keep_their_order(model: Model) -> None:
    texts = ["bad", "good " * 9, "fine fine", "", "x y z good"]
    together = model.predict(texts).values
    alone = np.vstack([model.predict([text]).values for text in texts])
    np.testing.assert_allclose(together, alone, rtol=1e-6)


def test_a_model_that_does_not_fit_its_manifest_is_refused(model: Model, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"not a graph")
    manifest: ArtifactManifest = model.manifest
    with pytest.raises(ArtifactInvalid, match="publish the artifact again"):
        Model(tmp_path, manifest, rows_per_run=1)


def test_a_log_line_is_one_json_object_with_its_fields() -> None:
    record = logging.LogRecord("distillery_server", logging.INFO, "", 0, "ready\nnow", (), None)
    record.fields = {"model": "sentiment"}
    entry = json.loads(JsonFormatter().format(record))
    assert (entry["level"], entry["message"], entry["model"]) == ("info", "ready\nnow", "sentiment")
    assert entry["time"].endswith("Z")
