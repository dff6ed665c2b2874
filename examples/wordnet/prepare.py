"""Builds the example's data and teacher once, caches them, and uploads them on request.

    python examples/wordnet/prepare.py [--size full|tiny] [--upload s3://bucket/prefix]

The folder is printed as the last line: test.parquet, train.parquet, unlabelled.parquet, dev.parquet and teacher/.
"""

import os

# Before torch is imported: on a busy machine, threads that spin for each other cost more than the work.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import argparse
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

sys.path.append(str(Path(__file__).parent.parent))  # for what the examples share

import glosses
import minilm
import preparing
import pyarrow.parquet as pq

HERE = Path(__file__).parent
TOKENS = 32  # 97 % of the glosses are shorter


class Size(NamedTuple):
    """Rows of each file, the supersenses kept (none: all), and the teacher's recipe."""

    rows: dict[str, int]
    recipe: minilm.Recipe
    labels: tuple[str, ...] = ()


SIZES = {
    "full": Size(
        {"test": 10_000, "train": 6_000, "unlabelled": 40_000, "dev": 10_000},
        minilm.Recipe(layers=6, epochs=2, learning_rate=2e-4, tokens=TOKENS),
    ),
    # For tests: four classes that are easy to tell apart, and two layers of the encoder.
    "tiny": Size(
        {"test": 2_000, "train": 600, "unlabelled": 3_000, "dev": 1_000},
        minilm.Recipe(layers=2, epochs=4, learning_rate=3e-4, tokens=TOKENS),
        labels=("animal", "location", "person", "plant"),
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="full")
    parser.add_argument("--upload", metavar="URI", help="also copy everything under this prefix")
    arguments = parser.parse_args()
    size = SIZES[arguments.size]
    recipe = [
        repr(size), minilm.PACKAGE, *preparing.code(HERE / "glosses.py", HERE.parent / "minilm.py"),
        *preparing.versions("torch", "transformers", "pyarrow"),
    ]  # fmt: skip
    folder = preparing.cached("wordnet", f"{arguments.size}-", recipe, lambda folder: build(folder, size))
    if arguments.upload:
        preparing.upload(folder, arguments.upload)
    print(folder)


def build(folder: Path, size: Size) -> None:
    """Write the splits and train the teacher."""
    if not glosses.DATA_NOUN.exists():
        subprocess.run(["apt-get", "install", "-y", "-qq", "wordnet-base"], check=True, stdout=sys.stderr)
    rows = glosses.shuffled(glosses.read_glosses())
    if size.labels:
        rows = [row for row in rows if row.label in size.labels]
    glosses.write_splits(folder, rows, size.rows)
    train = pq.read_table(folder / "train.parquet").to_pydict()
    encoder = minilm.fetch_encoder(preparing.MODELS / "minilm")
    minilm.train_classifier(encoder, train["text"], train["label"], folder / "teacher", size.recipe)


if __name__ == "__main__":
    main()
