"""Builds the example's data and teacher once, caches them, and uploads them on request.

    python examples/fashion-mnist/prepare.py [--upload s3://bucket/prefix]

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

import garments
import teacher

HERE = Path(__file__).parent
SIZES = {"teacher": 30_000, "train": 1_000, "unlabelled": 20_000, "dev": 8_000}
RECIPE = teacher.Recipe(epochs=8, learning_rate=3e-3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--upload", metavar="URI", help="also copy everything under this prefix")
    arguments = parser.parse_args()
    folder = cached()
    if arguments.upload:
        upload(folder, arguments.upload)
    print(folder)


def cached() -> Path:
    """The prepared folder, built if this recipe has not been built before."""
    models = Path(os.environ.get("DISTILLERY_CACHE", "/var/cache/distillery")) / "models"
    folder = models / f"fashion-mnist-{recipe_hash()}"
    models.mkdir(parents=True, exist_ok=True)
    with (models / "fashion-mnist.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a second run waits for the first and finds its result
        if not folder.exists():
            building = models / f"{folder.name}.building"
            shutil.rmtree(building, ignore_errors=True)  # what a killed run left
            building.mkdir()
            build(building)
            building.rename(folder)  # so that a folder under its final name is whole
    return folder


def recipe_hash() -> str:
    """Changes with the recipe, its code and the libraries that run it."""
    parts = [repr((SIZES, RECIPE)), *((HERE / name).read_text() for name in ("garments.py", "teacher.py"))]
    parts += [f"{name}=={importlib.metadata.version(name)}" for name in ("torch", "transformers", "pyarrow", "pillow")]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def build(folder: Path) -> None:
    """Write the splits and train the teacher, on rows that the student never sees."""
    if not garments.IDX.exists():
        subprocess.run(["apt-get", "install", "-y", "-qq", "dataset-fashion-mnist"], check=True, stdout=sys.stderr)
    parts = garments.split(garments.read_garments("train"), SIZES)
    garments.write(folder / "test.parquet", garments.read_garments("t10k"), labelled=True)
    for name in ("train", "unlabelled", "dev"):
        garments.write(folder / f"{name}.parquet", parts[name], labelled=name != "unlabelled")
    teacher.train_teacher(parts["teacher"], folder / "teacher", RECIPE)


def upload(folder: Path, uri: str) -> None:
    """Copy the prepared files under `uri`; credentials come from the usual AWS_* variables."""
    from distillery_storage import open_prefix

    prefix = open_prefix(uri)
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        prefix.upload(path, path.relative_to(folder).as_posix())


if __name__ == "__main__":
    main()
