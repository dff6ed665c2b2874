"""Whole folders: read a model, fetch an artifact against its digest, publish atomically."""

import hashlib
from pathlib import Path, PurePosixPath

from distillery_api.artifact import MANIFEST, ArtifactManifest, File
from distillery_api.digests import digest_bytes
from pydantic import ValidationError

from .errors import Conflict, DigestMismatch, NotFound, StorageError
from .prefix import CHUNK, Prefix, open_prefix


def download_folder(uri: str, dest: Path) -> dict[str, str]:
    """Copy all objects below the uri into `dest`; relative path -> sha256 digest. Empty: NotFound."""
    prefix = open_prefix(uri)
    paths = prefix.list()
    if not paths:
        raise NotFound(f"{uri}: the folder is empty or missing; check the bucket or claim and the path")
    for path in paths:
        prefix.download(path, dest / path)
    return {path: file_digest(dest / path) for path in paths}


def fetch_artifact(uri: str, digest: str, dest: Path) -> ArtifactManifest:
    """Copy an artifact into `dest` and check it: its manifest against `digest`, then every file.

    Raises DigestMismatch where bytes differ, StorageError where the manifest is not one of an artifact.
    """
    prefix = open_prefix(uri)
    data = prefix.read(MANIFEST)
    if digest_bytes(data) != digest:
        raise DigestMismatch(
            f"{uri}/{MANIFEST}: is {digest_bytes(data)}, but {digest} was asked for; "
            "it was changed after it was judged: run the job again, or restore the object"
        )
    manifest = _parse(uri, data)
    for path, expected in manifest.files.items():
        prefix.download(path, dest / path)
        _check(f"{uri}/{path}", dest / path, expected)
    (dest / MANIFEST).write_bytes(data)
    return manifest


def publish_folder(local: Path, prefix: Prefix, manifest: bytes, name: str = MANIFEST) -> str:
    """Upload every file of `local`, then the manifest as `name`, only if absent; gives its digest.

    Readers look for the manifest, so they see all of the folder or nothing. The same manifest published
    before is fine and nothing is uploaded; a different one raises Conflict.
    """
    if _published(prefix, manifest, name):
        return digest_bytes(manifest)
    for path in sorted(file for file in local.rglob("*") if file.is_file()):
        relative = path.relative_to(local).as_posix()
        if relative != name:
            prefix.upload(path, relative)
    if not prefix.create(name, manifest):
        _published(prefix, manifest, name)
    return digest_bytes(manifest)


def file_digest(path: Path) -> str:
    """`sha256:<hex>` of a local file, read in chunks."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return "sha256:" + digest.hexdigest()


def _published(prefix: Prefix, manifest: bytes, name: str) -> bool:
    try:
        found = prefix.read(name)
    except NotFound:
        return False
    if found != manifest:
        raise Conflict(
            f"{prefix.uri}/{name}: a different one is published here ({digest_bytes(found)}, "
            f"not {digest_bytes(manifest)}); use another storage.uri, or delete it if nothing serves it"
        )
    return True


def _parse(uri: str, data: bytes) -> ArtifactManifest:
    try:
        manifest = ArtifactManifest.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise StorageError(f"{uri}/{MANIFEST}: not an artifact manifest: {field}: {first['msg']}") from error
    for path in manifest.files:
        if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
            raise StorageError(f"{uri}/{MANIFEST}: files: {path!r} must be a relative path without '..'")
    for path in (manifest.model, *manifest.preprocessing.files()):
        if path not in manifest.files:
            raise StorageError(f"{uri}/{MANIFEST}: files: {path!r} is used but has no digest")
    return manifest


def _check(uri: str, path: Path, expected: File) -> None:
    actual = file_digest(path)
    if path.stat().st_size != expected.size or actual != expected.sha256:
        path.unlink()
        raise DigestMismatch(
            f"{uri}: is {actual}, but the manifest says {expected.sha256}; "
            "the object is damaged or was changed: restore it, or run the job again"
        )
