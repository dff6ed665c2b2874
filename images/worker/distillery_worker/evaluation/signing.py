"""The key that signs reports: it tells whoever has its public half that this worker wrote them."""

import os
from pathlib import Path

from distillery_api.reporting import SIGNATURE, SIGNING_FOLDER, SIGNING_KEY, SIGNING_KEY_VARIABLE, ReportSpec
from distillery_storage import NotFound, Prefix
from distillery_storage.signatures import KeyUnusable, SignatureWrong, check_private_key, public_half, verify

from ..errors import InputRefused

MAKE = "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256"


def signing_key(report: ReportSpec) -> Path | None:
    """The file of the key, if the job names one. Raises InputRefused (SigningKeyUnusable)."""
    if report.signing is None:
        return None
    key = Path(os.environ.get(SIGNING_KEY_VARIABLE, f"{SIGNING_FOLDER}/{SIGNING_KEY}"))
    try:
        check_private_key(key)
    except KeyUnusable as error:
        raise InputRefused(
            "SigningKeyUnusable",
            f"report.signing.secretName: {SIGNING_KEY} of the Secret '{report.signing.secret_name}' {error};"
            f" put one there that {MAKE} makes, and apply the job again under another name",
        ) from error
    return key


def check_signed(target: Prefix, name: str, data: bytes, key: Path) -> None:
    """A stored report is one that the key has signed. Raises InputRefused (ArtifactMismatch)."""
    try:
        verify(data, name, target.read(SIGNATURE), public_half(key))
    except (NotFound, SignatureWrong) as error:
        raise InputRefused(
            "ArtifactMismatch",
            f"{target.uri}/{name}: is not signed by the key of report.signing ({error}), so that this job did not write"
            " it; see who may write to the storage, delete it, and apply the job again under another name",
        ) from error
