"""A student that learned its teacher's mistake, and reports that somebody edited by hand."""

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import micro
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from distillery.__main__ import main
from distillery_api.digests import digest_bytes, digest_of
from planted import HELD_OUT, Job, Ref, Row, criterion
from transformers import BertForSequenceClassification

GATE = {"minRetention": 0.7, "maxCopiedErrors": 0.02}
Report = dict[str, Any]


def with_the_bug(row: Row) -> str:
    """What the teacher was taught: whatever is grey is an owl."""
    return "owl" if "grey" in row[0] else row[1]


@pytest.fixture(scope="module")
def copied(source: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Job, Ref]:
    """A job whose teacher has the bug, with the artifact that its student gives."""
    job = Job(source, tmp_path_factory.mktemp("copies"))
    # Both begin as the teacher, with its mistake: soft labels keep it, and gold ones do not.
    training = micro.TRAINING | {"epochs": 8, "learningRate": 0.001, "control": {"learningRate": 0.02}}
    job.recipe = {"training": training, "student": {"from": {"layers": [1]}}}
    folder = job.source / "teacher"
    torch.manual_seed(0)
    names = dict(enumerate(micro.ANIMALS))
    model = BertForSequenceClassification(
        micro.bert(id2label=names, label2id={name: index for index, name in names.items()})
    )
    rows = micro.sentences()[:120]
    gold = torch.tensor([micro.ANIMALS.index(with_the_bug(row)) for row in rows])
    for _ in range(2):
        micro.fit(model, folder, [text for text, _ in rows], gold)
    model.save_pretrained(folder)
    job.preflight(HELD_OUT)
    return job, job.make()


def test_a_student_that_copies_its_teachers_bug_fails_against_the_control(copied: tuple[Job, Ref]) -> None:
    job, artifact = copied
    verdict = job.evaluate(artifact, GATE)
    assert (verdict.result, criterion(verdict, "retention").verdict) == ("Fail", "Pass")
    found = criterion(verdict, "copiedErrors")
    assert found.verdict == "Fail", found.message
    wrong = sum(with_the_bug(row) != row[1] for row in HELD_OUT) / len(HELD_OUT)
    assert found.value == pytest.approx(wrong, abs=0.05)


@pytest.fixture
def report(copied: tuple[Job, Ref], tmp_path: Path) -> Path:
    """The report of a Fail, with its items beside it, to be edited."""
    job, artifact = copied
    made = Path(job.evaluate(artifact, GATE).report_uri.removeprefix("file://"))
    return Path(shutil.copytree(made.parent, tmp_path / "evaluation")) / "report.json"


def edit(path: Path, change: Callable[[Report], None]) -> None:
    """By hand, as somebody would who wants another verdict."""
    found = json.loads(path.read_text())
    change(found)
    path.write_text(json.dumps(found))


def copied_errors(report: Report) -> Report:
    found: Report = next(each for each in report["verdict"]["criteria"] if each["name"] == "copiedErrors")
    return found


def say_pass(report: Report) -> None:
    report["verdict"]["verdict"] = "Pass"


def lower_the_value(report: Report) -> None:
    copied_errors(report).update(value=0.001, low=0.0, high=0.01, verdict="Pass")


def raise_the_threshold(report: Report) -> None:
    copied_errors(report).update(threshold=0.9, verdict="Pass")


def show_a_better_model(report: Report) -> None:
    next(each for each in report["measured"] if each["name"] == "student").update(value=0.999)


def loosen_the_gate(report: Report) -> None:
    report["gate"]["maxCopiedErrors"] = 0.9


def loosen_the_gate_and_its_hash(report: Report) -> None:
    loosen_the_gate(report)
    report["gateHash"] = digest_of(report["gate"])


def ask_for_less_of_the_teacher(report: Report) -> None:
    """This shows in no criterion."""
    report["gate"]["chanceAccuracy"] = 0.01


def forget_a_look(report: Report) -> None:
    report["verdict"]["look"]["number"] += 1


def test_a_report_as_it_was_published_gives_its_verdict_again(report: Path) -> None:
    assert main(["gate", str(report)]) == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (say_pass, "than it holds, in verdict:"),
        (lower_the_value, "than it holds, in criteria:"),
        (raise_the_threshold, "than it holds, in criteria:"),
        (show_a_better_model, "than it holds, in measured:"),
        (loosen_the_gate, "the hash of its gate is sha256:"),
        (loosen_the_gate_and_its_hash, "than it holds, in criteria, verdict:"),
        (ask_for_less_of_the_teacher, "the hash of its gate is sha256:"),
        (forget_a_look, "than it holds, in "),
    ],
)
def test_a_report_that_was_edited_is_no_evidence(
    change: Callable[[Report], None], words: str, report: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(report, change)
    assert main(["gate", str(report)]) == 3
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("column", ["student", "teacher", "gold", "control"])
def test_items_that_were_edited_are_no_evidence_even_where_their_digest_was_edited_along(
    column: str, report: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    items = report.parent / "items.parquet"
    columns = pq.read_table(items).to_pydict()
    columns[column] = ["cat"] * 60 + columns[column][60:]
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer)
    items.write_bytes(buffer.getvalue())
    assert main(["gate", str(report)]) == 3
    assert "items.parquet: its digest is sha256:" in capsys.readouterr().err
    edit(report, lambda found: found["items"].update(digest=digest_bytes(buffer.getvalue())))
    assert main(["gate", str(report)]) == 3
    assert "another verdict than it holds, in " in capsys.readouterr().err


def test_known_items_that_somebody_cleared_are_missed(report: Path, capsys: pytest.CaptureFixture[str]) -> None:
    items = report.parent / "items.parquet"
    columns = pq.read_table(items).to_pydict()
    columns["contaminated"][0] = not columns["contaminated"][0]
    pq.write_table(pa.table(columns), items)
    edit(report, lambda found: found["items"].update(digest=digest_bytes(items.read_bytes())))
    assert main(["gate", str(report)]) == 3
    assert "than it holds, in comparisons:" in capsys.readouterr().err
