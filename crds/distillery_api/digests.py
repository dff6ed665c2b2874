"""Canonical JSON and SHA-256 digests: how content gets its name."""

import hashlib
import json
from typing import Any


def canonical(value: Any) -> bytes:
    """JSON with sorted keys and no spaces; NaN and infinity are refused (ValueError)."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def digest_bytes(data: bytes) -> str:
    """`sha256:<hex>` of the bytes."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def digest_of(value: Any) -> str:
    """`sha256:<hex>` of the value's canonical JSON."""
    return digest_bytes(canonical(value))


def digest_files(files: dict[str, str]) -> str:
    """Digest of a folder: relative path (with '/') -> sha256 digest of each file."""
    return digest_of(dict(sorted(files.items())))
