"""Builds the example's data and teacher once, caches them, and uploads them on request.

    python examples/fashion-mnist/prepare.py [--upload s3://bucket/prefix]

The folder is printed as the last line: test.parquet, train.parquet, unlabelled.parquet, dev.parquet and teacher/.
"""

import os

# Before torch is imported: on a busy machine, threads that spin for each other cost more than the work.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import argparse
import subprocess
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent))  # for what the examples share

import garments
import preparing
import teacher

HERE = Path(__file__).parent

SIZES = {"teacher": 30_000, "train": 1_000, "unlabelled": 20_000, "dev": 8_000}
RECIPE = teacher.Recipe(epochs=8, learning_rate=3e-3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--upload", metavar="URI", help="also copy everything under this prefix")
    arguments = parser.parse_args()
    recipe = [
        repr((SIZES, RECIPE)), *preparing.code(HERE / "garments.py", HERE / "teacher.py"),
        *preparing.versions("torch", "transformers", "pyarrow", "pillow"),
    ]  # fmt: skip
    folder = preparing.cached("fashion-mnist", "", recipe, build)
    if arguments.upload:
        preparing.upload(folder, arguments.upload)
    print(folder)


def build(folder: Path) -> None:
    """Write the splits and train the teacher, on rows that the student never sees."""
    if not garments.IDX.exists():
        subprocess.run(["apt-get", "install", "-y", "-qq", "dataset-fashion-mnist"], check=True, stdout=sys.stderr)
    parts = garments.split(garments.read_garments("train"), SIZES)
    garments.write(folder / "test.parquet", garments.read_garments("t10k"), labelled=True)
    for name in ("train", "unlabelled", "dev"):
        garments.write(folder / f"{name}.parquet", parts[name], labelled=name != "unlabelled")
    teacher.train_teacher(parts["teacher"], folder / "teacher", RECIPE)


if __name__ == "__main__":
    main()
