"""`distillery gc URI`: delete from a storage prefix what no model holds and no live job uses."""

import argparse
import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from distillery_operator.store import Object
from distillery_storage import Entry, Prefix, open_prefix

from .errors import Refused
from .retention.garbage import Folders, Garbage, folders_of, garbage
from .retention.in_cluster import read_cluster
from .retention.marks import Marks, marks_of, read_state, read_text
from .retention.published import read_published
from .sizes import bytes_text, day
from .verdict_table import table

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def age(text: str) -> timedelta:
    """A length of time such as 7d or 12h. Raises argparse's error."""
    match = re.fullmatch(r"([0-9]+)([smhdw])", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no length of time; write 12h, 7d or 2w")
    return timedelta(**{UNITS[match[2]]: int(match[1])})


def collect_garbage(options: argparse.Namespace) -> int:
    """Print what would go, or delete it; 0."""
    storage = open_prefix(options.uri)
    marks = read_marks(options, storage.uri)
    entries = storage.entries()
    folders = folders_of(entries)
    before = datetime.now(UTC) - options.min_age
    found = list(garbage(folders, read_published(storage, folders.students), marks, before))
    show(found, folders, entries)
    if options.apply:
        delete(storage, found)
    print(f"{len(found)} folders, {bytes_text(size(found))}: {'deleted' if options.apply else 'nothing was deleted'}")
    return 0


def read_marks(options: argparse.Namespace, uri: str) -> Marks:
    """What the state names. Raises Refused where deleting would be a guess."""
    if options.state is None and not options.in_cluster:
        if options.apply:
            raise Refused("--apply: needs --state with the output of kubectl get dj,dm -A -o json; - is standard input")
        print("Without --state, nothing is known to be in use.")
        return marks_of([], uri)
    marks = marks_of(read_objects(options), uri)
    if options.apply and not marks.used and not options.unused:
        raise Refused(
            f"--apply: no job or model of the state names {uri}; is it of another cluster, or of another namespace?"
            " If nothing uses this prefix any more, add --unused"
        )
    return marks


def read_objects(options: argparse.Namespace) -> list[Object]:
    """The state's objects, from where the options say."""
    if options.in_cluster:
        return read_cluster()
    return read_state(options.state, read_text(options.state, sys.stdin))


def show(found: Sequence[Garbage], folders: Folders, entries: Sequence[Entry]) -> None:
    """What can go, and what there is."""
    rows = [(each.folder, bytes_text(each.size), day(each.newest), each.why) for each in found]
    if rows:
        print("\n".join(table(("FOLDER", "BYTES", "WRITTEN", "WHY"), rows)))
    kinds = {"label sets": folders.labels, "selections": folders.selections, "students": folders.students,
             "evaluations": folders.evaluations}  # fmt: skip
    counts = ", ".join(f"{len(each)} {name}" for name, each in kinds.items())
    print(f"{counts}; {bytes_text(sum(entry.size for entry in entries))} in all")


def delete(storage: Prefix, found: Sequence[Garbage]) -> None:
    """Delete every object of it, records first."""
    for each in found:
        for path in each.in_order():
            storage.delete(path)


def size(found: Sequence[Garbage]) -> int:
    """Bytes of all of it."""
    return sum(each.size for each in found)
