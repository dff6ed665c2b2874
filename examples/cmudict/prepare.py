"""Builds the example's data and teacher once, caches them, and uploads them on request.

    python examples/cmudict/prepare.py [--size full|tiny] [--upload s3://bucket/prefix]

The folder is printed as the last line: train.parquet, unlabelled.parquet, test.parquet, dev.parquet and teacher/.
Needs npm.
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
import teacher
import words

HERE = Path(__file__).parent


class Size(NamedTuple):
    """Words of each file, words that the teacher learns from, and its recipe."""

    rows: dict[str, int]
    learned: int
    recipe: teacher.Recipe


SIZES = {
    "full": Size(
        {"test": 3_000, "train": 2_000, "unlabelled": 20_000, "dev": 3_000},
        learned=60_000,
        recipe=teacher.Recipe(width=192, layers=3, heads=4, epochs=6),
    ),
    "tiny": Size(  # for tests
        {"test": 200, "train": 200, "unlabelled": 1_000, "dev": 200},
        learned=6_000,
        recipe=teacher.Recipe(width=64, layers=2, heads=2, epochs=4),
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="full")
    parser.add_argument("--upload", metavar="URI", help="also copy everything under this prefix")
    arguments = parser.parse_args()
    size = SIZES[arguments.size]
    recipe = [
        repr(size), *preparing.code(HERE / "words.py", HERE / "teacher.py"),
        *preparing.versions("torch", "transformers", "pyarrow"),
    ]  # fmt: skip
    folder = preparing.cached("cmudict", f"{arguments.size}-", recipe, lambda folder: build(folder, size))
    if arguments.upload:
        preparing.upload(folder, arguments.upload)
    print(folder)


def build(folder: Path, size: Size) -> None:
    """Write the splits, and train the teacher on words that are in none of them."""
    found = words.read_words(words.fetch_dictionary(preparing.MODELS / "cmudict.txt"))
    parts = words.split(found, size.rows | {"teacher": size.learned})
    for name in size.rows:
        words.write(folder / f"{name}.parquet", parts[name], answered=name != "unlabelled")
    teacher.train_teacher(parts["teacher"], folder / "teacher", size.recipe)


if __name__ == "__main__":
    main()
