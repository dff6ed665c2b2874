"""Whether a report is signed by whoever has a key."""

from pathlib import Path

from distillery_api.reporting import SIGNATURE
from distillery_storage import NotFound, Prefix
from distillery_storage.signatures import KeyUnusable, SignatureWrong, verify

from .errors import Refused


def check_signature(beside: Prefix, place: str, data: bytes, public_key: Path) -> str:
    """The SHA-256 of the public key, which has signed the report at a place. Raises Refused and StorageError."""
    try:
        return verify(data, Path(place).name, beside.read(SIGNATURE), public_key.read_bytes())
    except NotFound as error:
        raise Refused(
            f"{place}: is not signed: there is no {SIGNATURE} beside it; have jobs sign their reports"
            " (spec.report.signing), or leave out --public-key"
        ) from error
    except SignatureWrong as error:
        raise Refused(
            f"{place}: its signature does not hold: {error}; the report was changed, or another key signed it"
        ) from error
    except OSError as error:
        raise Refused(f"--public-key {public_key}: cannot be read: {error.strerror}; name a file") from error
    except KeyUnusable as error:
        raise Refused(
            f"--public-key {public_key}: {error}; openssl pkey -in signing-key.pem -pubout writes it"
        ) from error
