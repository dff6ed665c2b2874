"""Signatures of files: they hold for these bytes and this key alone, and model_signing's own command reads them."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from distillery_storage.signatures import (
    KeyUnusable,
    SignatureWrong,
    check_private_key,
    public_half,
    sign,
    verify,
)

Write = Callable[..., Path]


def pem(key: Any, lock: KeySerializationEncryption | None = None) -> bytes:
    data: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock or NoEncryption())
    return data


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "key.pem"
    path.write_bytes(pem(ec.generate_private_key(ec.SECP256R1())))
    return path


def test_a_signature_holds_for_its_bytes_and_its_key(key: Path, tmp_path: Path) -> None:
    signature = sign(b"report", "report.json", key)
    assert len(verify(b"report", "report.json", signature, public_half(key))) == 64
    assert verify(b"report", "another-name.json", signature, public_half(key))
    with pytest.raises(SignatureWrong, match="Hash mismatch"):
        verify(b"repord", "report.json", signature, public_half(key))
    other = tmp_path / "other.pem"
    other.write_bytes(pem(ec.generate_private_key(ec.SECP384R1())))
    with pytest.raises(SignatureWrong, match="Key mismatch"):
        verify(b"report", "report.json", signature, public_half(other))


@pytest.mark.parametrize(
    "change",
    [
        lambda data: b"",
        lambda data: b"{}",
        lambda data: data.replace(b'"sig":"ME', b'"sig":"MF'),
        lambda data: data.replace(b'"hint"', b'"hint2"'),
        lambda data: data[: len(data) // 2],
    ],
    ids=["empty", "no bundle", "other signature", "other field", "half"],
)
def test_a_bundle_that_was_tampered_with_does_not_hold(change: Callable[[bytes], bytes], key: Path) -> None:
    signature = change(sign(b"report", "report.json", key))
    with pytest.raises(SignatureWrong, match=r"."):
        verify(b"report", "report.json", signature, public_half(key))


def test_the_command_of_model_signing_reads_it(key: Path, tmp_path: Path) -> None:
    from model_signing._cli import main

    report, bundle, public = tmp_path / "report.json", tmp_path / "report.sig", tmp_path / "key.pub"
    report.write_bytes(b"report")
    bundle.write_bytes(sign(b"report", "report.json", key))
    public.write_bytes(public_half(key))
    command = ["verify", "key", str(report), "--signature", str(bundle), "--public_key", str(public)]
    said = CliRunner().invoke(main, command)
    assert (said.exit_code, said.output) == (0, "Verification succeeded\n")
    report.write_bytes(b"another")
    assert CliRunner().invoke(main, command).exit_code == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (pem(ec.generate_private_key(ec.SECP256R1()), BestAvailableEncryption(b"secret")), "has a password"),
        (pem(rsa.generate_private_key(65537, 2048)), "is no private key in PEM on the curve P-256"),
        (pem(ed25519.Ed25519PrivateKey.generate()), "is no private key"),
        (pem(ec.generate_private_key(ec.SECP256K1())), "is no private key"),
        (b"", "is no private key"),
        (None, r"cannot be read \(No such file or directory\)"),
    ],
    ids=["locked", "RSA", "Ed25519", "another curve", "empty", "missing"],
)
def test_a_key_that_cannot_sign_says_why(content: bytes | None, words: str, tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(KeyUnusable, match=words):
        check_private_key(path)


def test_a_private_key_is_no_public_one(key: Path) -> None:
    signature = sign(b"report", "report.json", key)
    with pytest.raises(KeyUnusable, match="is no public key in PEM"):
        verify(b"report", "report.json", signature, key.read_bytes())


def test_without_a_key_the_library_is_not_loaded() -> None:
    modules = "distillery_storage.signatures, distillery.__main__, distillery_worker.evaluation.signing"
    code = f"import sys, {modules}; sys.exit('model_signing' in sys.modules or 'cryptography' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": ":".join(sys.path)}, check=True)
