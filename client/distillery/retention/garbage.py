"""What nothing needs any more. Pure: listed objects, marks and a time in, garbage with a reason out.

Whatever stands outside labels/, selections/, students/ and evaluations/ is never garbage: a prefix may hold data and
teachers.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from distillery_storage import Entry

from .marks import Marks


@dataclass(frozen=True)
class Published:
    """What a student's own records name. `folders`: below the student's folder; digests are hex."""

    folders: frozenset[str]  # attempts/<attempt>/<model>, or deeper
    digests: frozenset[str]  # of the manifests of its artifacts
    labels: frozenset[str]  # keys of the labels that it was trained on


@dataclass(frozen=True)
class Garbage:
    """A folder that can go, or part of it."""

    folder: str  # below the storage prefix
    why: str
    entries: tuple[Entry, ...]

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(entry.size for entry in self.entries)

    @property
    def newest(self) -> datetime:
        """When it was last written."""
        return max(entry.modified for entry in self.entries)

    def in_order(self) -> list[str]:
        """Paths, records first: a reader sees all of a folder or nothing."""
        return sorted((entry.path for entry in self.entries), key=lambda path: (not path.endswith(".json"), path))


@dataclass(frozen=True)
class Folders:
    """The prefix's objects by root folder and key."""

    labels: Mapping[str, Sequence[Entry]]
    selections: Mapping[str, Sequence[Entry]]
    students: Mapping[str, Sequence[Entry]]
    evaluations: Mapping[str, Sequence[Entry]]


def folders_of(entries: Sequence[Entry]) -> Folders:
    """Sort the listing into folders."""
    roots: dict[str, dict[str, list[Entry]]] = {"labels": {}, "selections": {}, "students": {}, "evaluations": {}}
    for entry in entries:
        root, _, rest = entry.path.partition("/")
        key, _, path = rest.partition("/")
        if root in roots and path:
            roots[root].setdefault(key, []).append(entry)
    return Folders(**roots)


def garbage(
    folders: Folders, published: Mapping[str, Published], marks: Marks, before: datetime
) -> Iterator[Garbage]:  # fmt: skip
    """Everything that no object needs and that was last written before that time."""
    kept = {key for key in folders.students if is_kept(key, published[key], marks)}
    needed = {label for key in kept for label in published[key].labels} | marks.live
    found = [
        *(each for key in kept for each in leftovers(key, folders.students[key], published[key], marks)),
        *(Garbage(f"students/{key}", "no model holds it and no live job uses it", tuple(folders.students[key]))
          for key in folders.students.keys() - kept),
        *(each for key, entries in folders.labels.items() for each in stale_labels(key, entries, needed, marks)),
        *(Garbage(f"selections/{key}", "no live job uses it, and the next one finds the same rows", tuple(entries))
          for key, entries in folders.selections.items() if not marks.open_ended and key not in marks.live),
        *(Garbage(f"evaluations/{uid}", "its job is gone, and no model tells of it", tuple(entries))
          for uid, entries in folders.evaluations.items() if not named(uid, marks.jobs)),
    ]  # fmt: skip
    yield from sorted((each for each in found if each.newest < before), key=lambda each: each.folder)


def is_kept(student: str, published: Published, marks: Marks) -> bool:
    """Whether a model or a job needs the student."""
    return marks.open_ended or bool(({student} | published.digests) & (marks.kept | marks.live))


def leftovers(key: str, entries: Sequence[Entry], published: Published, marks: Marks) -> Iterator[Garbage]:
    """Attempts and checkpoints of a student that is needed for what it published alone."""
    if key in marks.live or marks.open_ended or not published.folders:
        return
    unused: dict[str, list[Entry]] = {}
    for entry in entries:
        parts = entry.path.split("/")  # students/<key>/attempts/<attempt>/<model>/<file>
        path = "/".join(parts[2:])
        if parts[2] == "attempts" and not any(path.startswith(f"{folder}/") for folder in published.folders):
            unused.setdefault("/".join(parts[:5]), []).append(entry)
    for folder, found in unused.items():
        yield Garbage(folder, "an attempt's work that was not published", tuple(found))


def stale_labels(key: str, entries: Sequence[Entry], needed: set[str], marks: Marks) -> Iterator[Garbage]:
    """A label set that nothing needs, or halves of segments that no writer came back to complete."""
    if key not in needed and not marks.open_ended:
        why = "no live job uses it, nor was a student that is kept made from it"
        yield Garbage(f"labels/{key}", why, tuple(entries))
        return
    paths = {entry.path for entry in entries}
    for entry in entries:
        if entry.path.endswith(".parquet") and entry.path.removesuffix(".parquet") + ".json" not in paths:
            yield Garbage(entry.path, "a segment that was never completed", (entry,))


def named(uid: str, texts: frozenset[str]) -> bool:
    """Whether the uid is one of the texts, or stands in one: models name reports by address."""
    return uid in texts or any(f"/{uid}/" in text for text in texts)
