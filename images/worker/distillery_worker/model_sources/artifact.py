"""A model folder as an OCI artifact: layers that are one file each, or tar archives of files.

Names are where ORAS (org.opencontainers.image.title) and ModelPack (org.cncf.model.filepath) write them; archives are
how KitOps and ModelPack pack folders.
"""

import re
import shutil
import tarfile
from pathlib import Path, PurePosixPath
from typing import Any

from distillery_api.sources import OCI, at_revision

from ..errors import InputRefused
from .registry import Registry
from .wanted import wanted

TITLE, FILEPATH = "org.opencontainers.image.title", "org.cncf.model.filepath"
UNPACK = "io.deis.oras.content.unpack"  # "true" on an archive of a folder, whose name is then the title
RAW, ARCHIVES = ".raw", (".tar", ".tar+gzip")
DIGEST = "sha256:[0-9a-f]{64}"


def pull_artifact(uri: str, field: str, dest: Path) -> str:
    """Write the model's files of oci://registry/repository:tag or @sha256:… into the empty folder `dest`.

    Gives the address with the manifest's digest. Raises InputRefused, DigestMismatch and Unavailable, as Registry.
    """
    address = re.fullmatch(OCI, uri)
    assert address is not None  # noqa: S101 - the API takes no other
    with Registry(address[1], address[2], uri, field) as registry:
        manifest, digest = registry.manifest(address[3][1:])
        for layer in manifest["layers"]:
            pull_layer(registry, layer, dest, f"{field}.uri: {uri}")
    return at_revision(uri, digest)


def pull_layer(registry: Registry, layer: dict[str, Any], dest: Path, place: str) -> None:
    """Write what the model needs of one layer; `place` begins messages. Raises InputRefused (ModelUnsupported)."""
    digest, name = str(layer.get("digest")), file_name(layer)
    if not re.fullmatch(DIGEST, digest):
        raise InputRefused("ModelUnsupported", f"{place} names a layer by {digest}; push the artifact with SHA-256")
    if name is not None:
        if wanted(name):
            registry.blob(digest, dest / name)
    elif str(layer.get("mediaType")).endswith(ARCHIVES):
        archive = dest / ".layer"
        registry.blob(digest, archive)
        unpack(archive, dest, place)
        archive.unlink()


def file_name(layer: dict[str, Any]) -> str | None:
    """The name of a layer that is one file; None for an archive, and for what has no name."""
    notes = layer.get("annotations") or {}
    if notes.get(TITLE) and notes.get(UNPACK) != "true":
        return PurePosixPath(notes[TITLE]).as_posix()
    if notes.get(FILEPATH) and str(layer.get("mediaType")).endswith(RAW):
        return PurePosixPath(notes[FILEPATH]).as_posix()
    return None


def unpack(archive: Path, dest: Path, place: str) -> None:
    """Write the files that a model needs. Only names at the top count, so none leads out of `dest`."""
    try:
        with tarfile.open(archive) as files:
            for member in files:
                name = PurePosixPath(member.name).as_posix()
                if wanted(name) and (content := files.extractfile(member)):
                    with content, (dest / name).open("wb") as file:
                        shutil.copyfileobj(content, file)
    except (tarfile.TarError, EOFError) as error:
        raise InputRefused(
            "ModelUnsupported", f"{place} has a layer that is no tar archive: {error}; push the artifact again"
        ) from error
