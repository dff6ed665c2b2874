"""`distillery report --card`: a model card that a hub reads, with nothing in it that the report lacks."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from distillery.__main__ import main
from distillery.report_page.page import number
from distillery_gate.wording import evidence
from evaluations import DIGEST, answers, write_evaluation
from huggingface_hub import ModelCard

HOSTILE = "| <script> `code` **bold** [link](http://x) |"


def card(path: Path, tmp_path: Path) -> str:
    target = tmp_path / "MODEL_CARD.md"
    assert main(["report", str(path), "-o", str(tmp_path / "page.html"), "--card", str(target)]) == 0
    return target.read_text()


def numbers(value: Any) -> Iterator[str]:
    """Every number of a report, as a card writes it."""
    match value:
        case dict():
            for each in value.values():
                yield from numbers(each)
        case list():
            for each in value:
                yield from numbers(each)
        case int() | float():
            yield number(value)


def tables(text: str) -> Iterator[list[list[str]]]:
    """The cells of each table, without its heading."""
    for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        head, _, *rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in block.splitlines()]
        assert {len(row) for row in rows} == {len(head)}
        yield [[cell.strip() for cell in row] for row in rows]


@pytest.fixture
def full(tmp_path: Path) -> Path:
    columns = answers(0.93) | {"slice": [HOSTILE if row % 3 else "long" for row in range(600)]}
    columns["student_confidence"] = np.linspace(0.5, 1, 600).tolist()
    columns |= {"control": columns["teacher"][::-1], "incumbent": ["a"] * 500 + ["b"] * 100}
    columns |= {"student_typos": ["b"] * 300 + columns["student"][300:]}
    gate = {
        "minRetention": 0.9, "slices": {"minRetention": 0.8, "minItems": 50}, "maxCopiedErrors": 0.05,
        "robustness": {"maxAccuracyLoss": 0.1, "perturbations": ["typos"]},
    }  # fmt: skip
    teacher = {"uri": "hf://org/big@main", "digest": DIGEST}
    seen = {"incumbent": teacher, "control": teacher, "teacher": teacher}
    return write_evaluation(tmp_path, columns, gate, **seen)


def test_a_hub_reads_the_result_of_the_student(full: Path, tmp_path: Path) -> None:
    data, report = ModelCard(card(full, tmp_path)).data, json.loads(full.read_text())
    student = report["verdict"]["measurements"][1]
    (result,) = data.eval_results
    assert (result.metric_type, result.metric_value) == ("accuracy", student["value"])
    sure = evidence(student["low"], student["high"], level=report["verdict"]["level"], n=600, clusters=120, decimals=4)
    assert result.metric_name == f"Accuracy ({sure})"
    assert (result.task_type, data.pipeline_tag) == ("text-classification", "text-classification")
    assert (result.dataset_name, result.dataset_revision) == ("test.parquet", report["test"]["digest"])
    assert (data.model_name, data.base_model) == ("topics", ["org/big"])


def test_every_number_of_a_table_is_the_reports(full: Path, tmp_path: Path) -> None:
    known = {*numbers(json.loads(full.read_text())), "–"}
    cells = [cell for table in tables(card(full, tmp_path)) for row in table for cell in row]
    shown = [cell for cell in cells if re.fullmatch(r"-?[\d,]+(\.\d+)?|–", cell)]
    assert len(shown) > 60
    assert set(shown) <= known


def test_it_tells_on_what_the_student_was_timed(full: Path, tmp_path: Path) -> None:
    costs = json.loads(full.read_text())["costs"]
    said = card(full, tmp_path).partition("## Evaluation")[2]
    assert f"the student's files are {number(costs['artifactBytes'])} bytes" in said
    assert costs["measuredOn"]["cpu"] in said.replace("\\", "")


def test_changed_rows_have_their_line(full: Path, tmp_path: Path) -> None:
    (told,) = json.loads(full.read_text())["verdict"]["perturbations"]
    found = [row for table in tables(card(full, tmp_path)) for row in table if row[0] == "typos"]
    assert found == [["typos", told["verdict"], "600", *(number(told[name]) for name in ("value", "low", "high"))]]


def test_names_mean_themselves(full: Path, tmp_path: Path) -> None:
    text = card(full, tmp_path)
    assert "<script>" not in text
    slices = next(
        table for table in tables(text) if table[0][0] not in ("teacher", "student", "train") and len(table[0]) == 6
    )
    assert {re.sub(r"\\(.)", r"\1", row[0]) for row in slices} == {HOSTILE, "long"}


def test_what_was_not_asked_or_not_compared_is_said(full: Path, tmp_path: Path) -> None:
    said = card(full, tmp_path).partition("## Limitations")[2]
    assert re.search("did not ask for .*`chanceAccuracy`, `minAccuracy`", said)
    assert "maxPerplexity" not in said  # of other tasks
    assert "No control was trained" not in said
    said = card(write_evaluation(tmp_path, answers(0.93), {"minRetention": 0.9}), tmp_path).partition("## Limitations")[
        2
    ]
    for words in (
        "no part of it by itself",
        "compared with no model that served",
        "No control was trained",
        "`slices`",
    ):
        assert words in said


@pytest.mark.parametrize(
    ("student", "use"),
    [(0.93, "Text-classification on inputs like"), (0.7, "it is shown to miss"), (0.83, "do not show what its gate")],
    ids=["Pass", "Fail", "Inconclusive"],
)
def test_the_intended_use_follows_the_verdict(student: float, use: str, tmp_path: Path) -> None:
    text = card(write_evaluation(tmp_path, answers(student), {"minRetention": 0.9}), tmp_path)
    assert use in text.partition("## Intended use")[2].partition("##")[0]


@pytest.mark.parametrize(
    ("metric", "ranking", "found"),
    [
        ("perplexity", None, ("text-generation", "perplexity")),
        ("mean absolute error", None, ("text-classification", "mae")),
        ("mean absolute error", {"student": {"queries": 4, "pairwiseAccuracy": 0.75}}, ("text-ranking", "mae")),
    ],
)
def test_every_task_has_a_name_of_the_hub(
    metric: str, ranking: dict[str, Any] | None, found: tuple[str, str], tmp_path: Path
) -> None:
    values = np.random.default_rng(2).uniform(1, 3, (3, 80)).tolist()
    columns: dict[str, Any] = dict(zip(("teacher", "student", "gold"), values, strict=True))
    columns |= {"tokens": [10] * 80, "cluster": [f"d{row // 2}" for row in range(80)]}
    more = {"ranking": ranking} if ranking else {}
    text = card(write_evaluation(tmp_path, columns, {"minRetention": 0.9}, metric, **more), tmp_path)
    (result,) = ModelCard(text).data.eval_results
    assert (result.task_type, result.metric_type) == found
    assert "smaller is better" in text


def test_a_report_without_its_task_makes_no_card(
    full: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = json.loads(full.read_text())
    del report["task"]
    full.write_text(json.dumps(report))
    assert main(["report", str(full), "-o", str(tmp_path / "page.html"), "--card", str(tmp_path / "card.md")]) == 3
    assert "does not tell its task" in capsys.readouterr().err


def test_a_student_judged_by_ndcg_is_told_in_queries_and_larger_is_better(tmp_path: Path) -> None:
    columns: dict[str, Any] = {"query": [f"q{row // 4}" for row in range(400)], "gold": [0.0, 1.0, 0.0, 2.0] * 100}
    columns |= {"teacher": [0.1, 0.8, 0.2, 0.9] * 100, "student": [0.3, 0.8, 0.2, 0.9] * 100}
    asked = {"metric": "ndcg", "minRetention": 0.9}
    path = write_evaluation(tmp_path, columns, asked, "NDCG@10", task="text-scoring", ranking={})
    text = card(path, tmp_path)
    assert "NDCG@10: larger is better" in text
    (result,) = ModelCard(text).data.eval_results
    assert (result.metric_type, result.metric_name[:9]) == ("ndcg", "NDCG@10 (")
    assert "on 100 held-out queries" in (tmp_path / "page.html").read_text()
