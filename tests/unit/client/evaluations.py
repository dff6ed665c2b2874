"""Evaluations as the worker records them: report.json and items.parquet in a folder."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from distillery_api.digests import digest_bytes, digest_of
from distillery_gate import Gate, costs_of, decide, items_of

DIGEST = "sha256:" + "a" * 64
COSTS = {
    "latencyMs": [0.2 + place / 1e4 for place in range(1000)], "cpuMs": [0.25] * 1000, "inputs": 600,
    "artifactBytes": 4_000_000, "memoryBytes": 90_000_000,
    "measuredOn": {"cpu": "Some CPU", "threads": 1, "engine": "ONNX Runtime 1.0"},
}  # fmt: skip


def answers(student: float) -> dict[str, Any]:
    """Columns of 600 rows in 120 groups, with a student that is right as often as said."""
    random = np.random.default_rng(1)
    right = {"teacher": random.random(600) < 0.9, "student": random.random(600) < student}
    columns = {name: ["a" if each else "b" for each in values] for name, values in right.items()}
    return {"cluster": [f"g{row // 5}" for row in range(600)], "gold": ["a"] * 600, **columns}


def examples(folder: Path, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Writes examples.parquet; gives what the report says of it."""
    schema = pa.schema({"item": pa.int64(), "kinds": pa.list_(pa.string()), "text": pa.string(), "image": pa.binary()})
    pq.write_table(pa.Table.from_pylist(rows, schema), folder / "examples.parquet")
    data = (folder / "examples.parquet").read_bytes()
    return {"uri": "s3://elsewhere/examples.parquet", "digest": digest_bytes(data)}


def write_evaluation(
    folder: Path, columns: dict[str, Any], asked: dict[str, Any], metric: str = "accuracy", items: Path | None = None,
    **changes: Any,
) -> Path:  # fmt: skip
    """The path of the report; its items lie beside it, or in the folder `items`. changes: of the report"""
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer)
    file = (items or folder) / "items.parquet"
    file.write_bytes(buffer.getvalue())
    found = decide(items_of(metric, columns), Gate.model_validate(asked), costs=costs_of(COSTS))
    verdict = found.model_dump(mode="json", exclude_none=True)
    measured = [
        {"parameters": 1_000_000, "p50Ms": 0.25, "p99Ms": 0.5}
        | {name: each[name] for name in ("name", "metric", "value", "low", "high")} | {"items": each["n"]}
        for each in verdict["measurements"]
    ]  # fmt: skip
    cost = {"rows": 540, "passes": 3.0, "steps": 333, "bestStep": 300, "learningRate": 0.0015, "cpuSeconds": 12.5}
    report = {
        "schemaVersion": "distillery.dev/report/v1",
        "job": {"namespace": "team", "name": "topics", "uid": "uid-1"},
        "attempt": 1,
        "task": {"accuracy": "text-classification", "perplexity": "causal-lm"}.get(metric, "text-scoring"),
        "teacher": {"uri": "s3://models/teacher", "digest": DIGEST},
        "test": {"uri": "s3://data/test.parquet", "digest": DIGEST},
        "artifact": {"uri": "s3://models/student", "digest": DIGEST},
        "trainingData": {"train": {"uri": "s3://data/train.parquet", "digest": DIGEST}},
        "training": {"student": cost, "droppedRows": {"length": 7, "dedupe": 0}},
        "items": {"uri": file.as_uri(), "digest": digest_bytes(buffer.getvalue())},
        "gate": asked,
        "gateHash": digest_of(asked),
        "verdict": verdict,
        "costs": COSTS,
        "measured": measured,
    }
    path = folder / "report.json"
    path.write_text(json.dumps(report | changes))
    return path
