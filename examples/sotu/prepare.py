"""Builds the example's data and teacher once, caches them, and uploads them on request.

    python examples/sotu/prepare.py [--size full|tiny] [--upload s3://bucket/prefix]

The folder is printed as the last line: train.parquet, test.parquet, dev.parquet and teacher/. Needs npm.
"""

import os

# Before torch is imported: on a busy machine, threads that spin for each other cost more than the work.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import argparse
import sys
from pathlib import Path
from typing import NamedTuple

sys.path.append(str(Path(__file__).parent.parent))  # for what the examples share

import preparing
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
    size = SIZES[arguments.size]
    recipe = [
        repr(size), *preparing.code(HERE / "speeches.py", HERE / "teacher.py"),
        *preparing.versions("torch", "transformers", "pyarrow"),
    ]  # fmt: skip
    folder = preparing.cached("sotu", f"{arguments.size}-", recipe, lambda folder: build(folder, size))
    if arguments.upload:
        preparing.upload(folder, arguments.upload)
    print(folder)


def build(folder: Path, size: Size) -> None:
    """Write the splits and train the teacher."""
    speeches.write_splits(
        folder, speeches.read_speeches(speeches.fetch_speeches(preparing.MODELS / "sotu-speeches")), size.cut
    )
    teacher.train_teacher(folder / "train.parquet", folder / "teacher", size.recipe)


if __name__ == "__main__":
    main()
