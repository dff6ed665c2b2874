"""Which held-out rows stand in what a student learns from: found once by preflight, and kept beside the student."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from distillery_api.digests import canonical
from distillery_api.schema import Digest, Model
from distillery_storage import NotFound, Prefix

from ..data.files import Rows
from ..errors import InputRefused


class ContaminationRecord(Model):
    """Numbers, from 0, of the held-out rows that do, and the files to learn from that were searched."""

    rows: list[int]
    learned: dict[str, Digest]

    def of(self, test: Rows) -> list[bool]:
        """Whether each held-out row does: [rows]"""
        known = set(self.rows)
        return [number in known for number in range(len(test))]


def place(test: Rows) -> str:
    """Below the student's prefix, by the digest of the held-out file."""
    return f"contamination/{test.digest.removeprefix('sha256:')}.json"


def read_contamination(student: Prefix, test: Rows) -> ContaminationRecord | None:
    """What is known of these held-out rows, or None."""
    try:
        return ContaminationRecord.model_validate_json(student.read(place(test)))
    except NotFound:
        return None


def store_contamination(
    student: Prefix, test: Rows, found: Sequence[bool], learned: Mapping[str, Rows]
) -> ContaminationRecord:
    """Store what was found; where another pod was faster, its record is the answer."""
    rows = [number for number, known in enumerate(found) if known]
    digests = {field: file.digest for field, file in learned.items()}
    student.create(place(test), canonical(ContaminationRecord(rows=rows, learned=digests).dump()))
    return ContaminationRecord.model_validate_json(student.read(place(test)))


def known_rows(student: Prefix, test: Rows, uri: str, learned: Mapping[str, str] | None) -> Rows:
    """The held-out rows, each with whether it stands in what the student learned from.

    learned: digests of the files that training read, where its record has them. Raises InputRefused (DigestMismatch)
    where a file is not the one that preflight searched: nobody knows then what the held-out rows show.
    """
    record = read_contamination(student, test)
    if record is None:
        raise InputRefused(
            "DigestMismatch",
            f"dataset.test: {uri}, whose digest is {test.digest}, is not the file that preflight read; restore it, or"
            " apply the job again",
        )
    if learned is not None and learned != record.learned:
        raise InputRefused(
            "DigestMismatch",
            f"dataset: the student learned from {files(learned)}, and preflight read {files(record.learned)}; restore"
            f" the files, delete {student.uri}, and apply the job again",
        )
    return replace(test, contaminated=record.of(test))


def files(digests: Mapping[str, str]) -> str:
    """Fields of the dataset with what they held."""
    return ", ".join(f"{field} {digest}" for field, digest in sorted(digests.items()))
