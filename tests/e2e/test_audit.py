"""An auditor checks a signed verdict of many criteria, with what the run left in the object store alone."""

import json
import os
from pathlib import Path

import pytest
from conftest import Team
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from distillery.__main__ import main
from distillery_storage import open_prefix

GATE = {
    "minRetention": 0.8,
    "minAccuracy": 0.5,
    "maxNegativeFlips": 0.5,
    "maxCalibrationError": 0.5,
    "maxContamination": 0.5,
    "robustness": {"maxAccuracyLoss": 0.5},
    "cost": {
        "maxP99Ms": 1000,
        "maxArtifactBytes": "100Mi",
        "maxMemoryBytes": "2Gi",
        "price": {"coreHour": 0.04, "maxPerMillion": 100},
    },
    "onInconclusive": "Extend",
    "firstRows": 500,
}
CRITERIA = [
    "retention", "minAccuracy", "negativeFlips", "calibrationError", "contamination", "robustness",
    "latencyP99", "artifactBytes", "memoryBytes", "costPerMillion",
]  # fmt: skip


def new_keys(folder: Path) -> tuple[str, Path]:
    """A private key as PEM, and the file of its public key."""
    key = ec.generate_private_key(ec.SECP256R1())
    public = folder / "signing-key.pub"
    public.write_bytes(
        key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    plain = serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    return private.decode(), public


def test_a_signed_verdict_of_many_criteria_is_taken_again_and_an_edited_one_is_not(
    shared: Team, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    private, public = new_keys(tmp_path)
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "signing", "namespace": shared.name}}
    shared.cluster.apply(secret | {"stringData": {"signing-key.pem": private}})
    report = {"examples": True, "signing": {"secretName": "signing"}}
    shared.job("audited", model=None, gate=GATE, report=report)
    verdict = shared.passed("audited")["status"]["verdict"]
    assert [criterion["name"] for criterion in verdict["criteria"]] == CRITERIA
    assert all(criterion["message"] for criterion in verdict["criteria"])

    os.environ |= shared.cluster.credentials()
    folder, name = verdict["reportUri"].rsplit("/", 1)
    stored = open_prefix(folder)
    for path in stored.list():
        (tmp_path / path).write_bytes(stored.read(path))
    kept = tmp_path / name
    assert main(["gate", str(kept), "--public-key", str(public)]) == 0
    told = json.loads(kept.read_text())
    assert told["verdict"]["n"] < 2000
    page, card = tmp_path / "page.html", tmp_path / "card.md"
    assert main(["report", str(kept), "-o", str(page), "--card", str(card), "--public-key", str(public)]) == 0
    assert "typos" in page.read_text()

    told["gate"]["minRetention"] = 0.7
    kept.write_text(json.dumps(told))
    capsys.readouterr()
    assert main(["gate", str(kept), "--public-key", str(public)]) == 3
    assert "signature" in capsys.readouterr().err
