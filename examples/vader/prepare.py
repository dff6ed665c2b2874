"""Builds the example's data and teacher once, caches them, and uploads them on request.

    python examples/vader/prepare.py [--upload s3://bucket/prefix]

The folder is printed as the last line: test.parquet, train.parquet, unlabelled.parquet, dev.parquet and teacher/.
"""

import os

# Before torch is imported: on a busy machine, threads that spin for each other cost more than the work.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import argparse
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent))  # for what the examples share

import minilm
import preparing
import pyarrow.parquet as pq
import snippets

HERE = Path(__file__).parent

SIZES = {"test": 5_000, "train": 3_000, "dev": 3_000}
RECIPE = minilm.Recipe(layers=6, epochs=4, learning_rate=2e-4, tokens=48)  # 97 % of the sentences are shorter


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--upload", metavar="URI", help="also copy everything under this prefix")
    arguments = parser.parse_args()
    recipe = [
        repr((SIZES, RECIPE)), minilm.PACKAGE, *preparing.code(HERE / "snippets.py", HERE.parent / "minilm.py"),
        *preparing.versions("torch", "transformers", "pyarrow"),
    ]  # fmt: skip
    folder = preparing.cached("vader", "", recipe, build)
    if arguments.upload:
        preparing.upload(folder, arguments.upload)
    print(folder)


def build(folder: Path) -> None:
    """Write the splits and train the teacher."""
    ratings = snippets.fetch_ratings(preparing.MODELS / "vader-ratings")
    snippets.write_splits(folder, snippets.read_snippets(ratings), SIZES)
    train = pq.read_table(folder / "train.parquet").to_pydict()
    encoder = minilm.fetch_encoder(preparing.MODELS / "minilm")
    minilm.train_scorer(encoder, train["text"], train["score"], folder / "teacher", RECIPE)


if __name__ == "__main__":
    main()
