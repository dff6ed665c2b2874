"""A job of a micro task whose evaluation can be spoilt: other held-out rows, other artifacts, other reports."""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import micro
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
from distillery_api.artifact import MANIFEST, ArtifactManifest, File
from distillery_api.digests import canonical, digest_bytes
from distillery_api.distillationjob_status import CriterionStatus, VerdictStatus
from distillery_storage.folders import file_digest
from distillery_worker.context import Context
from distillery_worker.stages.compress import compress
from distillery_worker.stages.evaluate import evaluate
from distillery_worker.stages.label import label
from distillery_worker.stages.preflight import preflight
from distillery_worker.stages.train import train
from numpy.typing import NDArray
from onnx import numpy_helper

Row = tuple[str, str]
Ref = dict[str, str]
Weights = dict[str, NDArray[Any]]
TRAINING = micro.TRAINING | {"epochs": 12, "learningRate": 0.01, "control": {"learningRate": 0.01}}
QUICK = micro.TRAINING | {"epochs": 1}
GATE: dict[str, Any] = {"minRetention": 0.8}
HELD_OUT = micro.sentences()[140:340]


class Job:
    """A job that has come as far as its artifact; each evaluation is an attempt of its own."""

    def __init__(self, source: Path, folder: Path) -> None:
        self.folder, self.source, self.storage = folder, folder / "source", folder / "storage"
        shutil.copytree(source, self.source)
        self.attempts, self.recipe = 0, {"training": TRAINING, "student": micro.STUDENT}
        self.context = Context(workdir=folder / "work")

    def dataset(self, **columns: str) -> dict[str, Any]:
        """Its files, with these columns."""
        files = {name: f"file://{self.source}/{name}.parquet" for name in ("train", "unlabelled", "test")}
        return files | {"columns": columns}

    def report(self, verdict: VerdictStatus) -> dict[str, Any]:
        """What an evaluation published."""
        found: dict[str, Any] = json.loads(Path(verdict.report_uri.removeprefix("file://")).read_text())
        return found

    def items(self, verdict: VerdictStatus) -> dict[str, list[Any]]:
        """The columns of its items."""
        place = self.report(verdict)["items"]["uri"].removeprefix("file://")
        columns: dict[str, list[Any]] = pq.read_table(place).to_pydict()
        return columns

    def run(self, stage: str, **fields: Any) -> Any:
        return micro.make_run(stage, self.source, self.storage, **fields)

    def preflight(self, test: list[Row] | None = None, **fields: Any) -> None:
        """With other held-out rows, if any are given. They have the slice `night` where they are about owls."""
        if test is not None:
            write_test(self.source / "test.parquet", test)
        found = preflight(self.run("preflight", **self.recipe, **fields), self.context)
        self.keys = {"labelsKey": found.labels_key, "studentKey": found.student_key}

    def make(self) -> Ref:
        """The artifact."""
        label(self.run("label", labelsKey=self.keys["labelsKey"]), self.context)
        train(self.run("train", **self.recipe, **self.keys), self.context)
        made = compress(self.run("compress", **self.keys), self.context)
        return {"uri": made.artifact_uri, "digest": made.artifact_digest}

    def evaluate(self, artifact: Ref, gate: Mapping[str, Any] = GATE, **fields: Any) -> VerdictStatus:
        self.attempts += 1
        job = {"namespace": "team", "name": "animals", "uid": f"uid-{self.attempts}"}
        key = {"studentKey": self.keys["studentKey"]}
        run = self.run("evaluate", job=job, artifact=artifact, gate=dict(gate), **key, **fields)
        work = self.context.workdir / f"evaluate-{self.attempts}"
        return evaluate(run, replace(self.context, workdir=work))

    def spoilt(self, artifact: Ref, change: Callable[[Weights], None] = lambda _: None, **manifest: Any) -> Ref:
        """The artifact with other weights or another manifest, published with digests that fit."""
        name = f"spoilt-{len(list(self.folder.glob('spoilt-*')))}"
        folder = Path(shutil.copytree(artifact["uri"].removeprefix("file://"), self.folder / name))
        made = ArtifactManifest.model_validate_json((folder / MANIFEST).read_bytes())
        change_weights(folder / made.model, change)
        file = File(sha256=file_digest(folder / made.model), size=(folder / made.model).stat().st_size)
        other = made.model_copy(update={"files": made.files | {made.model: file}} | manifest)
        data = canonical(other.dump())
        (folder / MANIFEST).write_bytes(data)
        return {"uri": folder.as_uri(), "digest": digest_bytes(data)}


def change_weights(path: Path, change: Callable[[Weights], None]) -> None:
    """Change the initializers of an ONNX file in place."""
    model = onnx.load(path)
    weights = {each.name: numpy_helper.to_array(each).copy() for each in model.graph.initializer}
    change(weights)
    for each in model.graph.initializer:
        each.CopyFrom(numpy_helper.from_array(weights[each.name], each.name))
    onnx.save(model, path)


def write_test(path: Path, rows: list[Row]) -> None:
    """Held-out rows with their slices."""
    slices = ["night" if "owl" in text else "day" for text, _ in rows]
    texts, labels = [text for text, _ in rows], [label for _, label in rows]
    pq.write_table(pa.table({"text": texts, "label": labels, "kind": slices}), path)


def embedding(weights: Weights) -> NDArray[Any]:
    """The words' vectors: [vocabulary, width]"""
    return next(array for name, array in weights.items() if name.endswith("word_embeddings.weight"))


def word_id(word: str) -> int:
    return 4 + [*micro.ANIMALS, *micro.FILLERS].index(word)


def criterion(verdict: VerdictStatus, name: str) -> CriterionStatus:
    """One criterion of a verdict."""
    return next(each for each in verdict.criteria if each.name == name)
