"""The stages with a gate on robustness: a student that knows whole words alone falls apart under typos."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import micro
import micro_images
import pyarrow.parquet as pq
import pytest
from distillery.__main__ import main as client
from distillery_api.distillationjob_status import VerdictStatus
from distillery_api.gate import GateSpec
from distillery_operator.job_results import gate_failure
from distillery_worker.context import Context
from distillery_worker.progress import Progress
from distillery_worker.stages.compress import compress
from distillery_worker.stages.evaluate import evaluate
from distillery_worker.stages.label import label
from distillery_worker.stages.preflight import preflight
from distillery_worker.stages.train import train


class Evaluated:
    """A trained student of a micro task, which gates judge."""

    def __init__(self, tiny: Any, source: Path, folder: Path, **fields: Any) -> None:
        self.tiny, self.source, self.folder, self.fields = tiny, source, folder, fields
        keys = self.run("preflight", preflight)
        made = {"labelsKey": keys.labels_key, "studentKey": keys.student_key}
        self.run("label", label, labelsKey=keys.labels_key)
        self.run("train", train, **made, training=tiny.TRAINING | {"epochs": 10})
        exported = self.run("compress", compress, **made)
        artifact = {"uri": exported.artifact_uri, "digest": exported.artifact_digest}
        self.made = {"artifact": artifact, "studentKey": keys.student_key}

    def run(self, stage: str, work: Any, **fields: Any) -> Any:
        self.progress = Progress(stage)
        context = replace(Context(workdir=self.folder / stage), progress=self.progress)
        return work(self.tiny.make_run(stage, self.source, self.folder / "storage", **self.fields, **fields), context)

    def verdict(self, attempt: int, **robustness: Any) -> VerdictStatus:
        gate = {"minRetention": 0.8, "robustness": {"maxAccuracyLoss": 0.1} | robustness}
        found: VerdictStatus = self.run("evaluate", evaluate, attempt=attempt, gate=gate, **self.made)
        return found


def recorded(verdict: VerdictStatus) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    report = json.loads(Path(verdict.report_uri.removeprefix("file://")).read_text())
    return report, pq.read_table(report["items"]["uri"].removeprefix("file://")).to_pydict()


@pytest.fixture(scope="module")
def texts(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Evaluated:
    return Evaluated(micro, source, tmp_path_factory.mktemp("texts"))


def test_a_student_that_knows_whole_words_alone_fails_under_typos(
    texts: Evaluated, capsys: pytest.CaptureFixture[str]
) -> None:
    verdict = texts.verdict(1)
    failure = gate_failure(verdict, GateSpec())
    assert failure is not None
    assert failure.reason == "NotRobust"
    assert "Of 3 perturbations 'case' is worst: the student's accuracy goes from" in failure.message
    assert [each.verdict for each in verdict.criteria] == ["Pass", "Fail"]
    report, items = recorded(verdict)
    found = {each["name"]: each for each in report["verdict"]["perturbations"]}
    assert {name: each["verdict"] for name, each in found.items()} == {
        "case": "Fail", "typos": "Fail", "truncation": "Pass",
    }  # fmt: skip
    assert found["typos"]["n"] == len(items["student_typos"]) == 200
    assert client(["gate", verdict.report_uri]) == 1
    assert json.loads(capsys.readouterr().out) == report["verdict"]


def test_changed_rows_are_judged_by_the_same_gold_and_no_other_model_answers_them(texts: Evaluated) -> None:
    _, before = recorded(texts.verdict(2, perturbations=["truncation"]))
    _, after = recorded(texts.verdict(3))
    assert set(after) - set(before) == {"student_typos", "student_case"}
    assert {name: after[name] for name in before} == before
    assert set(before["student_truncation"]) <= set(micro.ANIMALS)


def test_only_what_the_gate_names_is_answered_and_counted(texts: Evaluated) -> None:
    assert texts.verdict(4, perturbations=["truncation"]).result == "Pass"
    assert (texts.progress.report().done, texts.progress.report().total) == (600, 600)
    texts.verdict(5)
    assert (texts.progress.report().done, texts.progress.report().total) == (1000, 1000)


def test_a_student_of_images_answers_them_noisy_and_blurred(tmp_path: Path) -> None:
    micro_images.write_data(tmp_path)
    micro_images.write_teacher(tmp_path / "teacher")
    student = Evaluated(micro_images, tmp_path, tmp_path / "run")
    verdict = student.verdict(1)
    report, items = recorded(verdict)
    assert {each["name"] for each in report["verdict"]["perturbations"]} == {"noise", "blur"}
    assert set(items["student_noise"] + items["student_blur"]) <= set(micro_images.PATTERNS)
    assert verdict.result == "Pass"
    assert client(["gate", verdict.report_uri]) == 0
