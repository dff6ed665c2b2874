"""Builds the example's data and teacher once, caches them, and uploads them on request.

    python examples/wordnet/prepare.py [--size full|tiny] [--upload s3://bucket/prefix]

The folder is printed as the last line: test.parquet, train.parquet, unlabelled.parquet, dev.parquet and teacher/.
"""

import os

# Before torch is imported: on a busy machine, threads that spin for each other cost more than the work.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import argparse
import fcntl
import hashlib
import importlib.metadata
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import glosses
import teacher

HERE = Path(__file__).parent


class Size(NamedTuple):
    """Rows of each file, the supersenses kept (none: all), and the teacher's recipe."""

    rows: dict[str, int]
    recipe: teacher.Recipe
    labels: tuple[str, ...] = ()


SIZES = {
    "full": Size(
        {"test": 10_000, "train": 6_000, "unlabelled": 40_000, "dev": 10_000},
        teacher.Recipe(layers=6, epochs=2, learning_rate=2e-4),
    ),
    # For tests: four classes that are easy to tell apart, and two layers of the encoder.
    "tiny": Size(
        {"test": 2_000, "train": 600, "unlabelled": 3_000, "dev": 1_000},
        teacher.Recipe(layers=2, epochs=4, learning_rate=3e-4),
        labels=("animal", "location", "person", "plant"),
    ),
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
    folder = models / f"wordnet-{size}-{recipe_hash(size)}"
    models.mkdir(parents=True, exist_ok=True)
    with (models / "wordnet.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a second run waits for the first and finds its result
        if not folder.exists():
            building = models / f"{folder.name}.building"
            shutil.rmtree(building, ignore_errors=True)  # what a killed run left
            building.mkdir()
            build(building, models / "minilm", SIZES[size])
            building.rename(folder)  # so that a folder under its final name is whole
    return folder


def recipe_hash(size: str) -> str:
    """Changes with the recipe, its code and the libraries that run it."""
    parts = [repr(SIZES[size]), teacher.PACKAGE, *((HERE / name).read_text() for name in ("glosses.py", "teacher.py"))]
    parts += [f"{name}=={importlib.metadata.version(name)}" for name in ("torch", "transformers", "pyarrow")]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def build(folder: Path, encoder: Path, size: Size) -> None:
    """Write the splits and train the teacher."""
    if not glosses.DATA_NOUN.exists():
        subprocess.run(["apt-get", "install", "-y", "-qq", "wordnet-base"], check=True, stdout=sys.stderr)
    rows = glosses.shuffled(glosses.read_glosses())
    if size.labels:
        rows = [row for row in rows if row.label in size.labels]
    glosses.write_splits(folder, rows, size.rows)
    teacher.train_teacher(teacher.fetch_encoder(encoder), folder / "train.parquet", folder / "teacher", size.recipe)


def upload(folder: Path, uri: str) -> None:
    """Copy the prepared files under `uri`; credentials come from the usual AWS_* variables."""
    from distillery_storage import open_prefix

    prefix = open_prefix(uri)
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        prefix.upload(path, path.relative_to(folder).as_posix())


if __name__ == "__main__":
    main()
