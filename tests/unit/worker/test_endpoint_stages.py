"""Jobs with a teacher behind an endpoint, through the stages: what is paid for, kept, counted and refused."""

import json
import shutil
from pathlib import Path
from typing import Any

import micro
import pyarrow.parquet as pq
import pytest
from chat_server import ChatServer, Reply, completion, scripted
from distillery_worker.context import Context
from distillery_worker.errors import InputRefused
from panel_job import Job, folder

ROLES = ("teacher", "student")
LABEL_OF = dict(micro.sentences())


def endpoint(server: ChatServer, **fields: Any) -> dict[str, Any]:
    spec = {"url": server.url, "model": "big", "labels": micro.ANIMALS} | fields
    return {"name": "big", "endpoint": spec}


def says_the_animal(text: str, before: int) -> Reply:
    """A teacher that is always right."""
    return completion(LABEL_OF.get(text, "no idea"), tokens=10)


@pytest.fixture(scope="module")
def small(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The teacher and a few rows: 20 with gold, 20 without, 40 held out."""
    path = tmp_path_factory.mktemp("small")
    shutil.copytree(source / "teacher", path / "teacher")
    for name, count in (("train", 20), ("unlabelled", 20), ("test", 40)):
        pq.write_table(pq.read_table(source / f"{name}.parquet").slice(0, count), path / f"{name}.parquet")
    return path


def test_an_endpoint_labels_and_is_judged_and_every_row_is_paid_for_once(
    small: Path, storage: Path, context: Context
) -> None:
    with scripted(says_the_animal) as server:
        teachers = [folder(small / "teacher", name="tokenizer", weight=0), endpoint(server)]
        job = Job(small, storage, context, teachers)
        preflight_asked = len(server.asked)
        first = job.label()
        verdict = job.finish()
        asked = len(server.asked)
        again = Job(small, storage, context, teachers)
        asked_again = len(server.asked)
    assert (first.labelled_rows, first.tokens, first.unusable_rows) == (40, 400, None)
    assert preflight_asked == 4
    assert asked == preflight_asked + 40 + 40
    assert (again.found.missing_rows, again.found.rechecked_rows) == (0, None)
    assert asked_again == asked + preflight_asked
    teacher = next(model for model in verdict.measured if model.name == "teacher")
    assert (teacher.value, teacher.parameters) == (1.0, None)


def test_endpoints_alone_teach_a_given_student_that_keeps_its_tokenizer(
    small: Path, storage: Path, context: Context, tmp_path: Path
) -> None:
    encoder = tmp_path / "encoder"
    shutil.copytree(small / "teacher", encoder)
    config = json.loads((encoder / "config.json").read_text())
    plain = {name: value for name, value in config.items() if name not in ("id2label", "label2id", "problem_type")}
    (encoder / "config.json").write_text(json.dumps(plain))
    given = {"uri": f"file://{encoder}"}
    with scripted(says_the_animal) as server:
        job = Job(small, storage, context, [endpoint(server)], student={"model": given}, tokenizer=given)
        assert job.label().labelled_rows == 40
        verdict = job.finish()
    assert job.found.teacher_digests is None
    teacher, student = (next(model for model in verdict.measured if model.name == name) for name in ROLES)
    assert (teacher.value, teacher.parameters, teacher.p50_ms) == (1.0, None, None)
    assert student.value > 0.5


def test_a_students_folder_without_a_tokenizer_is_refused_by_the_students_field(
    small: Path, storage: Path, context: Context, tmp_path: Path
) -> None:
    shutil.copytree(small / "teacher", tmp_path / "encoder", ignore=shutil.ignore_patterns("tokenizer.json"))
    given = {"uri": f"file://{tmp_path}/encoder"}
    with scripted(says_the_animal) as server, pytest.raises(InputRefused, match=r"^student\.model: .*tokenizer\.json"):
        Job(small, storage, context, [endpoint(server)], student={"model": given}, tokenizer=given)


def test_rows_without_a_usable_answer_are_counted_and_not_asked_again(
    small: Path, storage: Path, context: Context
) -> None:
    def shy(text: str, before: int) -> Reply:
        return completion("I cannot say", tokens=10) if text.startswith("the ") else says_the_animal(text, before)

    with scripted(shy) as server:
        teachers = [folder(small / "teacher", name="tokenizer", weight=0), endpoint(server, minUsableShare=0.5)]
        job = Job(small, storage, context, teachers)
        first = job.label()
        asked = len(server.asked)
        assert job.label().labelled_rows == 0
        assert len(server.asked) == asked
        verdict = job.finish()
    shy_rows = [text for text in server.texts if text.startswith("the ")]
    assert 0 < first.unusable_rows < len(set(shy_rows))
    teacher = next(model for model in verdict.measured if model.name == "teacher")
    items = pq.read_table(verdict.report_uri.removeprefix("file://").replace("report.json", "items.parquet"))
    assert items["teacher"].to_pylist().count("") == round((1 - teacher.value) * 40)


def test_answers_that_failed_one_job_fail_the_next_until_it_asks_for_less(
    small: Path, storage: Path, context: Context
) -> None:
    def shy(text: str, before: int) -> Reply:
        return completion("I cannot say") if text.startswith("the ") else says_the_animal(text, before)

    with scripted(shy) as server:
        tokenizer = folder(small / "teacher", name="tokenizer", weight=0)
        job = Job(small, storage, context, [tokenizer, endpoint(server, minUsableShare=0.99)])
        with pytest.raises(InputRefused, match=r"40 rows: \d+ answered, \d outside"):
            job.label()
        with pytest.raises(InputRefused, match=r"answered 40 of these rows before, \d+ of them usably"):
            Job(small, storage, context, [tokenizer, endpoint(server, minUsableShare=0.99)])
        lower = Job(small, storage, context, [tokenizer, endpoint(server, minUsableShare=0.5)])
    assert lower.found.missing_rows == 0
    assert lower.found.labels_key == job.found.labels_key


def test_a_budget_is_shared_by_the_shards_and_counts_what_earlier_attempts_paid(
    small: Path, storage: Path, context: Context
) -> None:
    with scripted(says_the_animal) as server:
        teachers = [
            folder(small / "teacher", name="tokenizer", weight=0),
            endpoint(server, tokenBudget=600, concurrency=1),
        ]
        job = Job(small, storage, context, teachers, softLabels={"shards": 2})
        before = len(server.asked)
        for _ in range(2):
            with pytest.raises(InputRefused, match="tokenBudget leaves") as refused:
                job.label(shard=0)
            assert refused.value.reason == "TokensUsedUp"
        assert 0 < (len(server.asked) - before) * 10 <= 300


def test_an_endpoint_without_its_key_is_refused_before_anything_is_asked(
    small: Path, storage: Path, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    with scripted(says_the_animal) as server:
        teachers = [
            folder(small / "teacher", name="tokenizer", weight=0),
            endpoint(server, secretRef={"name": "big-key"}),
        ]
        monkeypatch.delenv("TEACHER_BIG_API_KEY", raising=False)
        with pytest.raises(InputRefused, match=r"TEACHER_BIG_API_KEY is not set.*apiKey.*'big-key'") as refused:
            Job(small, storage, context, teachers)
        assert refused.value.reason == "AccessDenied"
        assert not server.asked
        monkeypatch.setenv("TEACHER_BIG_API_KEY", "sesame")
        Job(small, storage, context, teachers)
    assert set(server.keys) == {"Bearer sesame"}


def test_an_endpoint_alone_leaves_the_student_without_a_tokenizer(small: Path, storage: Path, context: Context) -> None:
    with scripted(says_the_animal) as server, pytest.raises(InputRefused, match="takes its tokenizer from the first"):
        Job(small, storage, context, [endpoint(server)])
