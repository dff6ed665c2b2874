"""What the examples' prepare.py scripts share: a folder that is built once, found by its recipe, and its upload."""

import fcntl
import hashlib
import importlib.metadata
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

MODELS = Path(os.environ.get("DISTILLERY_CACHE", "/var/cache/distillery")) / "models"


def cached(example: str, variant: str, recipe: Sequence[str], build: Callable[[Path], None]) -> Path:
    """The prepared folder, built if this recipe has not been built before. `variant` is empty or ends in a dash."""
    folder = MODELS / f"{example}-{variant}{digest(recipe)}"
    MODELS.mkdir(parents=True, exist_ok=True)
    with (MODELS / f"{example}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a second run waits for the first and finds its result
        if not folder.exists():
            building = MODELS / f"{folder.name}.building"
            shutil.rmtree(building, ignore_errors=True)  # what a killed run left
            building.mkdir()
            build(building)
            building.rename(folder)  # so that a folder under its final name is whole
    return folder


def digest(recipe: Sequence[str]) -> str:
    """Changes with any part of the recipe."""
    return hashlib.sha256("\n".join(recipe).encode()).hexdigest()[:12]


def code(*files: Path) -> list[str]:
    """The part of a recipe that is its code."""
    return [file.read_text() for file in files]


def versions(*packages: str) -> list[str]:
    """The part of a recipe that is the libraries that run it."""
    return [f"{name}=={importlib.metadata.version(name)}" for name in packages]


def upload(folder: Path, uri: str) -> None:
    """Copy the prepared files under `uri`; credentials come from the usual AWS_* variables."""
    from distillery_storage import open_prefix

    prefix = open_prefix(uri)
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        prefix.upload(path, path.relative_to(folder).as_posix())
