"""Held-out rows that cannot show what the gate asks for are refused before anything is paid for."""

from pathlib import Path
from typing import Any

import micro
import numpy as np
import pyarrow.parquet as pq
import pytest
from distillery_api.gate import GateSpec, asked
from distillery_gate import Gate, SliceGate, decide, items_of
from distillery_worker.context import Context
from distillery_worker.data.files import Rows
from distillery_worker.errors import InputRefused
from distillery_worker.evaluation.report import criterion_status
from distillery_worker.stages.held_out import check_held_out
from distillery_worker.stages.preflight import preflight
from distillery_worker.tasks.classification import Classification
from distillery_worker.tasks.head import Head
from distillery_worker.tasks.next_token import NextToken
from distillery_worker.tasks.scoring import Scoring
from pydantic.alias_generators import to_camel

LABELS = Classification(["a", "b"])
SLICES = {"minRetention": 0.9, "minItems": 20}


def rows(slices: list[str] | None, groups: list[str] | None = None) -> Rows:
    count = len(slices) if slices else 60
    return Rows([""] * count, np.zeros(count), "", [f"key {row}" for row in range(count)], groups, slices)


def check(test: Rows, head: Head = LABELS, task: Any = "text-classification", **gate: Any) -> None:
    check_held_out(test, head, task, GateSpec.model_validate(gate), controlled=False)


def refused(reason: str, *given: Any, **gate: Any) -> str:
    with pytest.raises(InputRefused) as caught:
        check(*given, **gate)
    assert caught.value.reason == reason
    return caught.value.message


def test_slices_that_are_large_enough_are_accepted_and_without_a_gate_on_them_any_are() -> None:
    check(rows(["de"] * 20 + ["en"] * 40), slices=SLICES)
    check(rows(["de"] * 2 + ["en"] * 40))


def test_the_smallest_slice_is_named_and_how_many_are_too_small() -> None:
    message = refused("SliceTooSmall", rows(["de"] * 3 + ["fr"] * 19 + ["en"] * 40), slices=SLICES)
    assert message.startswith("dataset.test: slice 'de' has 3 rows to judge by, and gate.slices.minItems asks for 20")
    assert "(2 of 3 slices have fewer)" in message


def test_a_models_gate_on_slices_needs_their_column() -> None:
    assert "dataset.columns.slice names no column" in refused("GateInput", rows(None), slices=SLICES)


@pytest.mark.parametrize("limit", [{"maxPerplexity": 9}, {"maxMeanAbsoluteError": 0.5}])
def test_a_models_gate_on_another_tasks_measure_is_refused(limit: dict[str, float]) -> None:
    [name] = limit
    assert f"gate.{name}: is for " in refused("GateInput", rows(None), **limit)
    assert "remove it from the DistilledModel's gate" in refused("GateInput", rows(None), **limit)


def test_a_models_gate_on_perturbations_of_another_task_is_refused() -> None:
    asked = {"maxAccuracyLoss": 0.05, "perturbations": ["typos", "blur"]}
    message = refused("GateInput", rows(None), robustness=asked)
    assert "gate.robustness.perturbations: text-classification has no blur" in message
    check(rows(None), robustness={"maxAccuracyLoss": 0.05})
    assert "gate.robustness: is for " in refused("GateInput", rows(None), LABELS, "text-scoring", robustness=asked)


def test_a_models_metric_is_for_its_tasks_and_limits_are_of_the_metric() -> None:
    check(rows(None), metric="macroF1", minF1=0.5, minAccuracy=0.5)
    message = refused("GateInput", rows(None), metric="ndcg")
    assert message == "gate.metric: ndcg is for text-scoring; change the DistilledModel's gate"
    message = refused("GateInput", rows(None), minF1=0.5)
    assert message.startswith("gate.minF1: is a limit of metric macroF1, and the DistilledModel's gate is by accuracy")
    limits = {"metric": "ndcg", "maxMeanAbsoluteError": 0.5}
    assert "gate.maxMeanAbsoluteError: is a" in refused("GateInput", pairs(), Scoring(), "text-scoring", **limits)


def pairs(gold: tuple[float, ...] = (0, 1, 2), slices: list[str] | None = None, queries: int = 30) -> Rows:
    """Three texts for each query."""
    count = 3 * queries
    texts: list[Any] = [(f"query {row // 3}", f"text {row}") for row in range(count)]
    return Rows(texts, np.array(gold * queries), "", [f"key {row}" for row in range(count)], None, slices)


def test_a_gate_by_ndcg_needs_queries_that_can_be_ranked() -> None:
    given: tuple[Any, ...] = (Scoring(), "text-scoring")
    check(pairs(), *given, metric="ndcg")
    assert "name the column of queries" in refused("GateInput", rows(None), *given, metric="ndcg")
    assert "dataset.test: gold: item 0 is -1.0" in refused("GateInput", pairs((-1, 0, 1)), *given, metric="ndcg")
    assert "there is nothing to rank" in refused("GateInput", pairs((1, 1, 1)), *given, metric="ndcg")


def test_slices_of_a_gate_by_ndcg_count_queries() -> None:
    given: tuple[Any, ...] = (Scoring(), "text-scoring")
    slices = ["de"] * 57 + ["en"] * 33
    message = refused("SliceTooSmall", pairs(slices=slices), *given, metric="ndcg", slices=SLICES)
    assert message.startswith("dataset.test: slice 'en' has 11 ")
    check(pairs(slices=slices), *given, metric="ndcg", slices=SLICES | {"minItems": 11})
    assert "names no column" in refused("GateInput", pairs(), *given, metric="ndcg", slices=SLICES)
    slices[0] = "en"
    assert "slice: item 0 has another one than other texts of its query" in refused(
        "GateInput", pairs(slices=slices), *given, metric="ndcg"
    )


def test_a_models_gate_on_copied_errors_needs_a_control() -> None:
    assert "set training.control.learningRate" in refused("GateInput", rows(None), maxCopiedErrors=0.02)
    check_held_out(rows(None), LABELS, "text-classification", GateSpec(max_copied_errors=0.02), controlled=True)


def test_rows_of_one_group_are_no_test_set() -> None:
    assert "all rows are one, or of one group" in refused("EmptyTestSet", rows(None, ["g"] * 60))


def test_slices_of_a_language_model_count_documents_and_a_document_has_one() -> None:
    blocks = rows(["old"] * 40 + ["new"] * 60, [f"doc {row // 2}" for row in range(100)])
    assert "slice 'old' has 20 rows" in refused(
        "SliceTooSmall", blocks, NextToken(), "causal-lm", slices=SLICES | {"minItems": 21}
    )
    check(blocks, NextToken(), "causal-lm", slices=SLICES)
    torn = rows(["old"] * 41 + ["new"] * 59, [f"doc {row // 2}" for row in range(100)])
    assert "rows of 'doc 20' are of several slices" in refused(
        "GateInput", torn, NextToken(), "causal-lm", slices=SLICES
    )


def test_the_gate_is_asked_for_everything_that_a_spec_can_set() -> None:
    spec = {
        "metric": "ndcg", "minRetention": 0.9, "incumbentMargin": 0.02, "chanceAccuracy": 0.25, "minAccuracy": 0.8,
        "minF1": 0.7, "minNdcg": 0.6,
        "maxMeanAbsoluteError": 0.5, "maxPerplexity": 20.0, "maxNegativeFlips": 0.03, "maxCopiedErrors": 0.02,
        "maxCalibrationError": 0.05, "maxContamination": 0.01,
        "slices": SLICES,
        "robustness": {"maxAccuracyLoss": 0.05, "perturbations": ["typos"]},
        "cost": {
            "maxP50Ms": 1.0, "maxP99Ms": 5.0, "maxArtifactBytes": 10**7, "maxMemoryBytes": 10**8,
            "price": {"coreHour": 0.04, "maxPerMillion": 1.5}, "minMeasurements": 600,
        },
        "evidence": "Point",
    }  # fmt: skip
    whole = GateSpec.model_validate(spec | {"onInconclusive": "Extend", "firstRows": 500})
    assert set(whole.dump()) == set(spec) | {"onInconclusive", "firstRows"}
    assert set(whole.dump()) == {to_camel(name) for name in GateSpec.model_fields}
    criteria = Gate.model_validate(asked(whole.dump())).model_dump(by_alias=True, exclude_none=True)
    assert criteria == spec | {"level": Gate.model_fields["level"].default}


def test_preflight_reads_the_slices_of_the_held_out_rows(
    source: Path, storage: Path, context: Context, tmp_path: Path
) -> None:
    dataset = {"columns": {"slice": "kind"}}
    for name in ("train", "unlabelled", "test"):
        table = pq.read_table(source / f"{name}.parquet")
        kinds = ["short" if row < 30 else None for row in range(len(table))]
        pq.write_table(table.append_column("kind", [kinds]), tmp_path / f"{name}.parquet")
        dataset[name] = f"file://{tmp_path}/{name}.parquet"
    run = micro.make_run("preflight", source, storage, dataset=dataset, gate={"slices": SLICES})
    assert preflight(run, context).rows["test"] == 200
    small = micro.make_run("preflight", source, storage, dataset=dataset, gate={"slices": SLICES | {"minItems": 171}})
    with pytest.raises(InputRefused, match=r"slice 'short' has 30 rows .*\(2 of 2 slices"):
        preflight(small, context)


def test_a_sentence_about_a_slice_with_a_long_name_is_cut_for_the_status() -> None:
    name = "a long " * 100
    columns = {"gold": ["a"] * 120, "teacher": ["a"] * 120, "student": ["a"] * 120, "slice": [name] * 60 + ["b"] * 60}
    verdict = decide(items_of("accuracy", columns), Gate(min_retention=0.5, slices=SliceGate(min_retention=0.999)))
    assert len(verdict.criteria[-1].message) > 512
    assert criterion_status(verdict.criteria[-1]).message.endswith("…")
