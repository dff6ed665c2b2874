"""The ledger of verdicts on one test set."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from distillery_api.digests import digest_of
from distillery_api.run import JobRef
from distillery_storage import Prefix, open_prefix
from distillery_worker.errors import InputRefused
from distillery_worker.evaluation.looks import Question, take_look

TEST, OTHER = digest_of("rows"), digest_of("more rows")


@pytest.fixture
def storage(tmp_path: Path) -> Prefix:
    return open_prefix(tmp_path.as_uri())


def question(artifact: str, **fields: str | None) -> Question:
    asked = {"teacher": digest_of("t"), "incumbent": None, "control": None, "gate": digest_of("g")} | fields
    return Question(artifact=digest_of(artifact), **asked)  # type: ignore[arg-type]


def look(storage: Prefix, artifact: str, test: str = TEST, attempt: int = 1, **fields: str | None) -> int:
    job = JobRef(namespace="team", name=f"job-{attempt}", uid=f"uid-{attempt}")
    return take_look(storage, test, question(artifact, **fields), job, attempt)


def test_every_other_question_on_a_test_set_is_a_further_look(storage: Prefix) -> None:
    assert [look(storage, name) for name in ("first", "second", "third")] == [1, 2, 3]
    assert look(storage, "first", gate=digest_of("looser")) == 4
    assert look(storage, "first", incumbent=digest_of("second")) == 5


def test_the_same_question_again_keeps_its_number(storage: Prefix) -> None:
    assert [look(storage, "first"), look(storage, "second")] == [1, 2]
    assert look(storage, "first", attempt=2) == 1


def test_another_test_set_begins_anew(storage: Prefix) -> None:
    assert [look(storage, "first"), look(storage, "second"), look(storage, "second", test=OTHER)] == [1, 2, 1]


def test_verdicts_that_are_taken_at_once_have_numbers_of_their_own(storage: Prefix) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda number: look(storage, f"student {number}"), range(24)))
    assert sorted(found) == list(range(1, 25))


def test_a_damaged_ledger_gives_no_free_look(storage: Prefix) -> None:
    look(storage, "first")
    storage.write(f"looks/{TEST.removeprefix('sha256:')}/1.json", b"{}")
    with pytest.raises(InputRefused, match=r"1\.json: does not say which verdict it counts; restore it") as caught:
        look(storage, "second")
    assert caught.value.reason == "LooksUnreadable"
