"""A job with any teachers, its stages run in this process."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import micro
import numpy as np
from distillery_api.distillationjob_status import VerdictStatus
from distillery_api.summary import PreflightResult
from distillery_storage import open_prefix
from distillery_worker.context import Context
from distillery_worker.data.files import Rows
from distillery_worker.data.text import row_key
from distillery_worker.stages.compress import compress
from distillery_worker.stages.evaluate import evaluate
from distillery_worker.stages.label import label
from distillery_worker.stages.preflight import preflight
from distillery_worker.stages.train import train
from distillery_worker.teachers.panel import Panel, fetch_panel

STUDENT_STAGES = ("preflight", "train")  # the others are not told of it


class Job:
    """The stages of one job with these teachers, run in this process."""

    def __init__(self, source: Path, storage: Path, context: Context, teachers: list[dict[str, Any]], **fields: Any):
        self.source, self.storage, self.context = source, storage, context
        self.fields = {"teachers": teachers} | fields
        self.found: PreflightResult = preflight(self.run("preflight"), context)

    def run(self, stage: str, **more: Any) -> Any:
        told = {name: value for name, value in self.fields.items() if name != "student" or stage in STUDENT_STAGES}
        return micro.make_run(stage, self.source, self.storage, **told | more)

    def keys(self) -> dict[str, str]:
        return {"labelsKey": self.found.labels_key, "studentKey": self.found.student_key}

    def label(self, shard: int = 0, **more: Any) -> Any:
        run = self.run("label", labelsKey=self.found.labels_key, **more)
        return label(run, replace(self.context, shard=shard))

    def finish(self) -> VerdictStatus:
        """Train, compress and evaluate."""
        train(self.run("train", **self.keys()), self.context)
        made = compress(self.run("compress", **self.keys()), self.context)
        return self.evaluate({"uri": made.artifact_uri, "digest": made.artifact_digest})

    def evaluate(self, artifact: dict[str, str], **more: Any) -> VerdictStatus:
        gate = {"minRetention": 0.1, "incumbentMargin": 0.05}
        run = self.run("evaluate", studentKey=self.found.student_key, artifact=artifact, gate=gate, **more)
        return evaluate(run, self.context)

    def panel(self) -> Panel:
        return fetch_panel(self.run("preflight"), self.context)

    def soft_labels(self, texts: list[str], most: float | None = None) -> np.ndarray:
        rows = self.panel_rows(texts)
        labels = self.panel().stored(open_prefix(f"file://{self.storage}"), self.context.folder("labels"), most, rows)
        return np.concatenate([labels[row]["logits"] for row in range(len(labels))])

    def panel_rows(self, texts: list[str]) -> Any:
        return Rows(texts, None, "d", [row_key(text) for text in texts])


def folder(path: Path, **fields: Any) -> dict[str, Any]:
    return {"model": {"uri": f"file://{path}"}} | fields
