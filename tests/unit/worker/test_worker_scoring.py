"""text-scoring: scores in place of labels, alone or against a query, from the data file to the verdict."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import micro
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from distillery.__main__ import main as gate_again
from distillery_api.dataset import Columns
from distillery_api.objective import Objective
from distillery_engine import TextModel
from distillery_storage import fetch_artifact
from distillery_worker.context import Context
from distillery_worker.data.text import load_texts, row_key
from distillery_worker.errors import InputRefused
from distillery_worker.losses.objective import objective, row_weights
from distillery_worker.stages.compress import compress
from distillery_worker.stages.evaluate import evaluate
from distillery_worker.stages.label import label
from distillery_worker.stages.preflight import preflight
from distillery_worker.stages.train import train
from distillery_worker.tasks.scoring import Scoring, read_scoring

TRAINING = micro.TRAINING | {"epochs": 12, "learningRate": 0.02, "control": {"learningRate": 0.01}}
HEAD = Scoring()
SOFT = torch.tensor([True, True])


@pytest.fixture(scope="session")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """train, unlabelled and test.parquet and teacher/; read only."""
    folder = tmp_path_factory.mktemp("scores") / "source"
    micro.write_scores(folder)
    return folder


def run_all(source: Path, storage: Path, context: Context, **fields: Any) -> tuple[Any, Any]:
    """Every stage of a job; the verdict and what compress published."""
    common = {"task": "text-scoring", **fields}

    def at(stage: str) -> Context:
        return replace(context, workdir=context.workdir / stage)

    training = {"training": TRAINING}
    found = preflight(micro.make_run("preflight", source, storage, **common, **training), at("preflight"))
    keys = {"labelsKey": found.labels_key, "studentKey": found.student_key}
    label(micro.make_run("label", source, storage, **common, labelsKey=found.labels_key), at("label"))
    train(micro.make_run("train", source, storage, **common, **keys, **training), at("train"))
    made = compress(micro.make_run("compress", source, storage, **common, **keys), at("compress"))
    artifact = {"uri": made.artifact_uri, "digest": made.artifact_digest}
    gate = {"minRetention": 0.5, "incumbentMargin": 0.2}
    run = micro.make_run(
        "evaluate", source, storage, **common, studentKey=found.student_key, artifact=artifact, gate=gate,
        incumbent=artifact,
    )  # fmt: skip
    return evaluate(run, at("evaluate")), made


def test_a_scoring_job_ends_in_a_verdict_on_errors(
    scored: Path, storage: Path, context: Context, tmp_path: Path
) -> None:
    verdict, made = run_all(scored, storage, context)
    assert [criterion.name for criterion in verdict.criteria] == ["retention", "incumbent"]
    assert {(model.name, model.metric) for model in verdict.measured} == {
        (name, "mean absolute error") for name in ("teacher", "student", "incumbent", "control")
    }
    report = json.loads(Path(verdict.report_uri.removeprefix("file://")).read_text())
    answers = pq.read_table(report["items"]["uri"].removeprefix("file://")).to_pydict()
    error = np.abs(np.subtract(answers["student"], answers["gold"])).mean()
    student = next(model for model in verdict.measured if model.name == "student")
    assert student.value == pytest.approx(error)
    assert gate_again(["gate", verdict.report_uri]) == 0
    assert error < 0.5  # guessing the mean score is wrong by 0.67

    manifest = fetch_artifact(made.artifact_uri, made.artifact_digest, tmp_path / "artifact")
    assert (manifest.task, manifest.labels) == ("text-scoring", [])
    assert TextModel(tmp_path / "artifact", manifest).outputs(["the owl sleeps"]).shape == (1, 1)


def test_pairs_are_scored_against_their_query(scored: Path, storage: Path, context: Context, tmp_path: Path) -> None:
    source = tmp_path / "pairs"
    source.mkdir()
    (source / "teacher").symlink_to(scored / "teacher")
    for name in ("train", "unlabelled", "test"):
        table = pq.read_table(scored / f"{name}.parquet")
        columns = {"query": [text.split()[0] for text in table["text"].to_pylist()]}
        pq.write_table(pa.table({**columns, **table.to_pydict()}), source / f"{name}.parquet")
    files = {name: f"file://{source}/{name}.parquet" for name in ("train", "unlabelled", "test")}
    verdict, made = run_all(source, storage, context, dataset=files | {"columns": {"query": "query"}})
    assert verdict.measured
    manifest = fetch_artifact(made.artifact_uri, made.artifact_digest, tmp_path / "artifact")
    assert manifest.preprocessing.query
    engine = TextModel(tmp_path / "artifact", manifest)
    one, other = engine.outputs([("the", "the owl sleeps"), ("house", "the owl sleeps")])
    assert one != other


def test_a_query_is_part_of_the_row(tmp_path: Path) -> None:
    pq.write_table(pa.table({"q": ["a", "b"], "text": ["x", "x"], "label": [1, 2.5]}), tmp_path / "rows.parquet")
    rows = load_texts(f"file://{tmp_path}/rows.parquet", "train", Columns(query="q"), HEAD.gold, tmp_path / "work")
    assert rows.inputs == [("a", "x"), ("b", "x")]
    assert rows.gold is not None
    assert rows.gold.tolist() == [1, 2.5]
    assert len({*rows.keys, row_key("x")}) == 3


@pytest.mark.parametrize("value", ["high", "", None, math.nan, math.inf, True])
def test_what_is_no_score_is_refused(value: object) -> None:
    with pytest.raises(InputRefused, match=r"row 2 has .* which is no finite number") as caught:
        HEAD.gold([1, value], "train", "label")
    assert caught.value.reason == "InvalidScore"


def test_scores_of_a_csv_file_are_text() -> None:
    assert HEAD.gold(["1", "-2.5"], "train", "label").tolist() == [1, -2.5]


def test_the_losses_are_squared_errors_and_rows_without_gold_have_none() -> None:
    student, teacher = torch.tensor([[1.0], [4.0]]), torch.tensor([[2.0], [2.0]])
    gold = torch.tensor([3.0, math.nan])
    losses, weights = HEAD.losses(student, teacher, gold, Objective()), row_weights(SOFT, HEAD.has_gold(gold))
    assert objective(losses, weights, 0.7).item() == pytest.approx(0.7 * (1 + 4) / 2 + 0.3 * 4)
    nothing = row_weights(SOFT, HEAD.has_gold(torch.full((2,), math.nan)))
    assert objective(losses, nothing, 0.0).item() == 0


def test_validation_rows_are_spread_over_the_scores() -> None:
    gold = np.random.default_rng(0).exponential(size=200).astype(np.float32)
    strata = HEAD.strata(gold)
    assert np.bincount(strata).tolist() == [20] * 10
    assert max(gold[strata == 0]) < min(gold[strata == 9])
    assert len(set(HEAD.strata(np.zeros(5)).tolist())) == 1


def test_the_best_score_has_the_smallest_error() -> None:
    gold = np.array([1.0, 2.0])
    assert HEAD.score(np.array([[1.0], [2.5]], dtype=np.float32), gold) == -0.25


@pytest.mark.parametrize("config", [{"id2label": {"0": "a", "1": "b"}}, {}, {"num_labels": 3}])
def test_a_teacher_with_several_outputs_scores_nothing(config: dict[str, Any]) -> None:
    with pytest.raises(InputRefused, match="wants a model for sequence classification with one"):
        read_scoring(config, "s3://bucket/teacher")
