"""WordNet 3.0 noun glosses and their 26 supersenses, split into train, unlabelled and held-out rows."""

import hashlib
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

DATA_NOUN = Path("/usr/share/wordnet/data.noun")  # Debian package wordnet-base

# Lexicographer files 03 to 28 (lexnames(5WN)).
SUPERSENSES = (
    "tops",
    "act",
    "animal",
    "artifact",
    "attribute",
    "body",
    "cognition",
    "communication",
    "event",
    "feeling",
    "food",
    "group",
    "location",
    "motive",
    "object",
    "person",
    "phenomenon",
    "plant",
    "possession",
    "process",
    "quantity",
    "relation",
    "shape",
    "state",
    "substance",
    "time",
)
FIRST_FILE = 3


class Gloss(NamedTuple):
    """One definition and the supersense of its synset."""

    text: str
    label: str


def read_glosses(path: Path = DATA_NOUN) -> list[Gloss]:
    """Every distinct noun gloss, once. Where synsets share a gloss the first one stands, so no split can share it."""
    distinct: dict[str, Gloss] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("  "):  # licence text
            continue
        fields, text = line.split(" | ", 1)
        label = SUPERSENSES[int(fields.split()[1]) - FIRST_FILE]
        distinct.setdefault(text.strip().casefold(), Gloss(text.strip(), label))
    return list(distinct.values())


def shuffled(glosses: list[Gloss]) -> list[Gloss]:
    """An order that depends on the texts alone, not on a random number generator's version."""
    return sorted(glosses, key=lambda gloss: hashlib.sha256(gloss.text.encode()).digest())


def write_splits(folder: Path, glosses: list[Gloss], sizes: dict[str, int]) -> None:
    """<name>.parquet with so many rows each, from the head of the list on; `unlabelled` without its labels."""
    if len(glosses) < sum(sizes.values()):
        raise SystemExit(f"{len(glosses)} glosses do not fill {sizes}; lower a size")
    rest = iter(glosses)
    for name, rows in sizes.items():
        write(folder / f"{name}.parquet", list(islice(rest, rows)), labelled=name != "unlabelled")


def write(path: Path, glosses: list[Gloss], *, labelled: bool) -> None:
    """One Parquet file."""
    columns = {"text": [gloss.text for gloss in glosses]}
    if labelled:
        columns["label"] = [gloss.label for gloss in glosses]
    pq.write_table(pa.table(columns), path)
