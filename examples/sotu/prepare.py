"""Builds the example's data and teacher once, caches them, and uploads them on request.

    python examples/sotu/prepare.py [--size full|tiny] [--upload s3://bucket/prefix]

The folder is printed as the last line: train.parquet, test.parquet, dev.parquet and teacher/. Needs npm.
"""

import os

# Before torch is imported: on a busy machine, threads that spin for each other cost more than the work.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import argparse
import fcntl
import hashlib
import importlib.metadata
import shutil
from pathlib import Path
from typing import NamedTuple

import speeches
import teacher

HERE = Path(__file__).parent


class Size(NamedTuple):
    """The teacher's recipe, and how many characters of each speech are used (none: all)."""

    recipe: teacher.Recipe
    cut: int | None = None


SIZES = {
    "full": Size(teacher.Recipe(vocabulary=2048, width=256, layers=4, heads=4, steps=2400)),
    "tiny": Size(teacher.Recipe(vocabulary=512, width=64, layers=2, heads=2, steps=400), cut=4000),  # for tests
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="full")
    parser.add_argument("--upload", metavar="URI", help="also copy everything under this prefix")
    arguments = parser.parse_args()
    folder = cached(arguments.size)
    if arguments.upload:
        upload(folder, arguments.upload)
    print(folder)


def cached(size: str) -> Path:
    """The prepared folder, built if this recipe has not been built before."""
    models = Path(os.environ.get("DISTILLERY_CACHE", "/var/cache/distillery")) / "models"
    folder = models / f"sotu-{size}-{recipe_hash(size)}"
    models.mkdir(parents=True, exist_ok=True)
    with (models / "sotu.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a second run waits for the first and finds its result
        if not folder.exists():
            building = models / f"{folder.name}.building"
            shutil.rmtree(building, ignore_errors=True)  # what a killed run left
            building.mkdir()
            build(building, models / "sotu-speeches", SIZES[size])
            building.rename(folder)  # so that a folder under its final name is whole
    return folder


def recipe_hash(size: str) -> str:
    """Changes with the recipe, its code and the libraries that run it."""
    parts = [repr(SIZES[size]), *((HERE / name).read_text() for name in ("speeches.py", "teacher.py"))]
    parts += [f"{name}=={importlib.metadata.version(name)}" for name in ("torch", "transformers", "pyarrow")]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def build(folder: Path, texts: Path, size: Size) -> None:
    """Write the splits and train the teacher."""
    speeches.write_splits(folder, speeches.read_speeches(speeches.fetch_speeches(texts)), size.cut)
    teacher.train_teacher(folder / "train.parquet", folder / "teacher", size.recipe)


def upload(folder: Path, uri: str) -> None:
    """Copy the prepared files under `uri`; credentials come from the usual AWS_* variables."""
    from distillery_storage import open_prefix

    prefix = open_prefix(uri)
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        prefix.upload(path, path.relative_to(folder).as_posix())


if __name__ == "__main__":
    main()
