"""`distillery gate`: the same verdict again, byte for byte, and nothing that was changed afterwards."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from distillery.__main__ import main
from distillery_api.digests import digest_of
from distillery_storage.signatures import public_half, sign
from evaluations import answers, write_evaluation

Write = Callable[..., Path]


@pytest.fixture
def evaluated(tmp_path: Path) -> Write:
    """Writes a report and its items as an evaluation does, the items elsewhere if wanted."""

    def write(student: float = 0.9, folder: Path | None = None, **changes: Any) -> Path:
        return write_evaluation(tmp_path, answers(student), {"minRetention": 0.9}, items=folder, **changes)

    return write


@pytest.mark.parametrize(("student", "code"), [(0.93, 0), (0.7, 1), (0.83, 2)], ids=["Pass", "Fail", "Inconclusive"])
def test_a_verdict_is_taken_again_byte_for_byte(
    student: float, code: int, evaluated: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    path = evaluated(student)
    assert main(["gate", str(path)]) == code
    shown = capsys.readouterr()
    assert json.loads(shown.out) == json.loads(path.read_text())["verdict"]
    assert main(["gate", path.as_uri()]) == code
    assert capsys.readouterr().out == shown.out
    assert "retention: " in shown.err
    assert "n = 600 in 120 clusters" in shown.err


def test_items_elsewhere_are_read_from_where_the_report_says(tmp_path: Path, evaluated: Write) -> None:
    (tmp_path / "elsewhere").mkdir()
    path = evaluated(0.93, tmp_path / "elsewhere")
    assert main(["gate", str(path)]) == 0
    (tmp_path / "elsewhere" / "items.parquet").rename(tmp_path / "items.parquet")
    assert main(["gate", str(path)]) == 0


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, Path]:
    """A private key, and its public half."""
    found = tmp_path / "signing-key.pem", tmp_path / "key.pub"
    private = ec.generate_private_key(ec.SECP256R1())
    found[0].write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    found[1].write_bytes(public_half(found[0]))
    return found


@pytest.mark.parametrize("command", ["gate", "report"])
def test_a_signed_report_is_read_with_its_key_and_no_other(
    command: str, keys: tuple[Path, Path], tmp_path: Path, evaluated: Write, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    path, done = evaluated(0.7), {"gate": 1, "report": 0}[command]
    asked = [command, str(path), "--public-key", str(keys[1])]
    assert main(asked) == 3
    assert "report.json: is not signed: there is no report.sig beside it" in capsys.readouterr().err
    (tmp_path / "report.sig").write_bytes(sign(path.read_bytes(), "report.json", keys[0]))
    assert main(asked) == done
    assert main([command, str(path), "--public-key", str(keys[0])]) == 3
    assert f"--public-key {keys[0]}: is no public key" in capsys.readouterr().err
    assert main([command, str(path), "--public-key", "nowhere.pub"]) == 3
    assert "--public-key nowhere.pub: cannot be read" in capsys.readouterr().err
    evaluated(0.93)  # a consistent report, by somebody else
    assert main(asked) == 3
    assert "report.json: its signature does not hold: Signature mismatch" in capsys.readouterr().err
    assert main(asked[:2]) == 0  # nobody asked who wrote it


def test_a_verdict_by_macro_f1_and_one_by_ndcg_are_taken_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_evaluation(tmp_path, answers(0.9), {"metric": "macroF1", "minRetention": 0.9}, "macro F1")
    assert main(["gate", str(path)]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(path.read_text())["verdict"]
    queries = [f"q{row // 4}" for row in range(400)]
    columns = {"query": queries, "cluster": queries, "gold": [0.0, 1.0, 0.0, 2.0] * 100}
    columns |= {"teacher": [0.1, 0.8, 0.2, 0.9] * 100, "student": [0.3, 0.8, 0.2, 0.9] * 100}
    path = write_evaluation(tmp_path, columns, {"metric": "ndcg", "minRetention": 0.9}, "NDCG@10")
    assert main(["gate", str(path)]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out) == json.loads(path.read_text())["verdict"]
    assert "NDCG@10" in shown.err


def edited(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    report = json.loads(path.read_text())
    change(report)
    path.write_text(json.dumps(report))


def test_a_report_that_was_edited_gives_no_verdict(evaluated: Write, capsys: pytest.CaptureFixture[str]) -> None:
    path = evaluated(0.7)
    edited(path, lambda report: report["verdict"].update(verdict="Pass"))
    assert main(["gate", str(path)]) == 3
    assert "give another verdict than it holds, in verdict" in capsys.readouterr().err
    path = evaluated(0.7)
    edited(path, lambda report: report["gate"].update(minRetention=0.1))
    assert main(["gate", str(path)]) == 3
    assert "the hash of its gate is sha256:" in capsys.readouterr().err
    edited(path, lambda report: report.update(gateHash=digest_of(report["gate"])))
    assert main(["gate", str(path)]) == 3
    assert "than it holds, in criteria, verdict" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["value", "low", "items", "metric"])
def test_a_model_that_was_edited_where_the_page_shows_it_gives_no_verdict(
    name: str, evaluated: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    path = evaluated(0.93)
    edited(path, lambda report: report["measured"][1].update({name: 0.99}))
    assert main(["gate", str(path)]) == 3
    assert "than it holds, in measured:" in capsys.readouterr().err


CEILINGS = {
    "maxP99Ms": 0.5, "maxArtifactBytes": 5_000_000, "maxMemoryBytes": 100_000_000,
    "price": {"coreHour": 0.04, "maxPerMillion": 0.1},
}  # fmt: skip


def test_ceilings_are_judged_again_by_what_was_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_evaluation(tmp_path, answers(0.93), {"minRetention": 0.9, "cost": CEILINGS})
    assert main(["gate", str(path)]) == 0
    assert "memoryBytes: Pass: " in capsys.readouterr().err
    edited(path, lambda report: report["costs"]["latencyMs"].__setitem__(slice(20), [9.0] * 20))
    assert main(["gate", str(path)]) == 3
    assert "another verdict than it holds, in criteria, verdict" in capsys.readouterr().err
    edited(path, lambda report: report["costs"].pop("memoryBytes"))
    assert main(["gate", str(path)]) == 3
    assert "costs.memoryBytes: missing; measure it" in capsys.readouterr().err


def test_items_that_were_changed_give_no_verdict(
    tmp_path: Path, evaluated: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    path = evaluated(0.7)
    pq.write_table(pa.table(answers(0.99)), tmp_path / "items.parquet")
    assert main(["gate", str(path)]) == 3
    assert "items.parquet: its digest is sha256:" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"schemaVersion": "v2"}, "schemaVersion: Input should be"),
        ({"gate": {"minRetention": 95}}, "no verdict can be taken"),
        ({"gate": {"minRetention": 0.9, "maxPerplexity": 9.0}}, "maxPerplexity: the items have accuracy"),
        ({"gate": {"minRetention": 0.9, "minF2": 0.5}}, "minF2"),
        ({"verdict": {"measurements": [{"metric": "bleu"}], "look": {}}}, "metric: 'bleu' is none of accuracy"),
        ({"verdict": {"measurements": []}}, "verdict.measurements"),
    ],
)
def test_a_report_that_cannot_be_decided_says_why(
    change: dict[str, Any], words: str, evaluated: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["gate", str(evaluated(0.9, **change))]) == 3
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "{}", "[]", "no json"])
def test_a_file_that_is_no_report_is_named(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "report.json").write_text(text)
    assert main(["gate", str(tmp_path / "report.json")]) == 3
    assert "report.json: is no report of an evaluation" in capsys.readouterr().err


def test_a_report_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gate", str(tmp_path / "none.json")]) == 3
    assert "none.json" in capsys.readouterr().err
