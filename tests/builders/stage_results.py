"""Specs, and results as stages leave them, for tests that run no worker."""

from typing import Any

from distillery_api.distillationjob_status import CriterionStatus
from distillery_api.summary import CompressResult, LabelResult, PreflightResult, TrainResult

NAMES = ("teacher", "labels", "student", "artifact", "interface", "report", "incumbent")
DIGESTS = {name: "sha256:" + letter * 64 for name, letter in zip(NAMES, "abcdef9", strict=True)}


def job_spec(**changes: Any) -> dict[str, Any]:
    """The shortest spec that the API takes, with changes."""
    return {
        "task": "text-classification",
        "teachers": [{"model": {"uri": "s3://bucket/teacher"}}],
        "dataset": {"train": "s3://bucket/train.parquet", "test": "s3://bucket/test.parquet"},
        "storage": {"uri": "s3://bucket/team"},
        "promoteTo": {"name": "served"},
    } | changes


def criterion(verdict: str, name: str = "retention") -> CriterionStatus:
    """One criterion of a verdict."""
    return CriterionStatus(
        name=name, verdict=verdict, value=0.963, low=0.956, high=0.97, threshold=0.95, items=10000,
        message=f"{name}: {verdict}",
    )  # fmt: skip


def preflight(missing: int = 120) -> PreflightResult:
    """Preflight's result; `missing` rows have no soft labels."""
    return PreflightResult(
        teacher_digest=DIGESTS["teacher"], labels_key=DIGESTS["labels"], student_key=DIGESTS["student"],
        rows={"train": 100, "unlabelled": 20, "test": 50}, missing_rows=missing, label_bytes=4 * missing,
    )  # fmt: skip


RESULTS: dict[str, Any] = {
    "preflight": preflight(),
    "label": LabelResult(shard=0, labelled_rows=120, reused_rows=0),
    "train": TrainResult(student="students/c", parameters=2_000_000, steps=10, validation_score=0.8),
    "compress": CompressResult(
        artifact_uri="s3://bucket/team/students/c/onnx-fp32", artifact_digest=DIGESTS["artifact"],
        interface=DIGESTS["interface"], max_abs_difference=1e-6,
    ),
}  # fmt: skip
