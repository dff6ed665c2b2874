"""Signatures of single files by an elliptic-curve key, in the format of OpenSSF model signing: a Sigstore bundle.

`model_signing verify key FILE --signature BUNDLE --public_key KEY` reads them.
"""

import hashlib
import sys
import tempfile
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from .errors import StorageError

CURVES = "P-256, P-384 or P-521"


class KeyUnusable(StorageError):  # noqa: N818 - a finding about the key
    """A key that is missing, locked or of another kind; the message is the end of a sentence about it."""


class SignatureWrong(StorageError):  # noqa: N818 - a finding about the content
    """A signature that does not hold; the message says why, in the library's words."""


# model_signing takes a quarter of a second to import, and is needed only where there is a key.


def check_private_key(key: Path) -> None:
    """Raises KeyUnusable where nothing can be signed with it."""
    sign(b"", "trial", key)


def sign(data: bytes, name: str, key: Path) -> bytes:
    """A signature of the file's bytes, which tells its name too. key: a private key in PEM. Raises KeyUnusable."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from model_signing.signing import Config

    try:
        config = Config().use_elliptic_key_signer(private_key=key)
    except OSError as error:
        raise KeyUnusable(f"cannot be read ({error.strerror})") from error
    except TypeError as error:
        raise KeyUnusable("has a password, and nobody is there to give it") from error
    except (ValueError, AttributeError, UnsupportedAlgorithm) as error:
        raise KeyUnusable(f"is no private key in PEM on the curve {CURVES}") from error
    with tempfile.TemporaryDirectory() as folder:
        path, signature = Path(folder, name), Path(folder, f"{name}.sig")
        path.write_bytes(data)
        config.sign(path, signature)
        return signature.read_bytes()


def verify(data: bytes, name: str, signature: bytes, public: bytes) -> str:
    """The SHA-256 of the public key, in hex, where the signature is of these bytes by its private half.

    public: in PEM. Raises KeyUnusable or SignatureWrong.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_public_key
    from model_signing.verifying import Config

    with tempfile.TemporaryDirectory() as folder, redirect_stdout(sys.stderr):
        path, bundle, key = Path(folder, name), Path(folder, "bundle"), Path(folder, "key")
        for file, content in ((path, data), (bundle, signature), (key, public)):
            file.write_bytes(content)
        try:
            config = Config().use_elliptic_key_verifier(public_key=key)
        except (ValueError, AttributeError, UnsupportedAlgorithm) as error:
            raise KeyUnusable(f"is no public key in PEM on the curve {CURVES}") from error
        try:
            config.verify(path, bundle)
        except Exception as error:  # a bundle that somebody has tampered with raises anything
            raise SignatureWrong(str(error).strip() or type(error).__name__) from error
    return hashlib.sha256(in_pem(load_pem_public_key(public))).hexdigest()


def public_half(key: Path) -> bytes:
    """The public key of a usable private one, both in PEM."""
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    return in_pem(load_pem_private_key(key.read_bytes(), None).public_key())


def in_pem(public: Any) -> bytes:
    """A public key in PEM, as a signature's hint is taken of it."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    pem: bytes = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return pem
