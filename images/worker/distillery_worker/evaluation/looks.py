"""The ledger of verdicts on one test set: looks/<test digest>/<number>.json in storage, each written once."""

from distillery_api.digests import digest_of
from distillery_api.run import JobRef
from distillery_api.schema import Digest, Model
from distillery_storage import Prefix
from pydantic import ValidationError

from ..errors import InputRefused


class Question(Model):
    """What a verdict is about: asked again, it has the same answer, and shows nothing that was not shown before."""

    artifact: Digest
    teacher: Digest
    incumbent: Digest | None
    control: Digest | None
    gate: Digest


class Entry(Model):
    """One verdict, noted before it is taken."""

    question: Digest
    asked: Question
    job: JobRef
    attempt: int


def take_look(storage: Prefix, test: Digest, asked: Question, job: JobRef, attempt: int) -> int:
    """Which verdict on this test set it is, from 1 up; the number that it had before, where it was asked before."""
    ledger, question = storage.child(f"looks/{test.removeprefix('sha256:')}"), digest_of(asked.dump())
    entry = Entry(question=question, asked=asked, job=job, attempt=attempt).model_dump_json(by_alias=True).encode()
    number = 1
    while not ledger.create(f"{number}.json", entry) and read_entry(ledger, f"{number}.json").question != question:
        number += 1
    return number


def read_entry(ledger: Prefix, name: str) -> Entry:
    """Raises InputRefused where it is none: a look that is not counted would be a free one."""
    try:
        return Entry.model_validate_json(ledger.read(name))
    except ValidationError as error:
        raise InputRefused(
            "LooksUnreadable",
            f"{ledger.uri}/{name}: does not say which verdict it counts; restore it from a backup, or evaluate on other"
            " held-out rows",
        ) from error
