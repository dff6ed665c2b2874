"""An endpoint that writes what a language model learns: what it is asked, what is kept, and the verdict."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import micro_language as micro
import pyarrow.parquet as pq
import pytest
from chat_server import ChatServer, Reply, Script, completion, refusal, scripted
from distillery_worker.context import Context
from distillery_worker.errors import InputRefused
from distillery_worker.teachers.writing_endpoint import row_seed
from test_language_from_text import SLOW, stored_answers
from test_language_stages import Pipeline

GOLD = dict(micro.exchanges())
ROWS, PREFLIGHT, TOKENS = 26, 4, 10


def says_gold(text: str, before: int) -> Reply:
    """A teacher that writes the gold response."""
    return completion(GOLD[text], TOKENS)


def but(others: dict[str, Reply]) -> Script:
    """The gold response, but for prompts that begin with one of these."""

    def script(text: str, before: int) -> Reply:
        found = [reply for start, reply in others.items() if text.startswith(start)]
        return found[0] if found else says_gold(text, before)

    return script


def fields(server: ChatServer, yardstick: Path, soft_labels: dict[str, Any] | None = None, **endpoint: Any) -> Any:
    """Fields of a run in which the server writes beside that folder."""
    run = micro.from_text(yardstick.parent)
    teachers = [
        {"name": "big", "endpoint": {"url": server.url, "model": "big-chat"} | endpoint},
        {"name": "yardstick", "model": {"uri": f"file://{yardstick}"}, "weight": 0},
    ]
    return run | {"teachers": teachers, "softLabels": run["softLabels"] | (soft_labels or {})}


@pytest.fixture
def job(writing_source: Path, storage: Path, context: Context) -> Callable[..., Pipeline]:
    def start(server: ChatServer, training: Any = SLOW, **more: Any) -> Pipeline:
        given = fields(server, writing_source / "teacher", **more)
        return Pipeline(writing_source, storage, context, training=training, **given)

    return start


def test_the_whole_run_ends_in_a_verdict_against_the_folder_and_every_prompt_is_paid_for_once(
    job: Callable[..., Pipeline], writing_source: Path
) -> None:
    with scripted(says_gold) as server:
        pipeline = job(server)
        labelled = pipeline.label()
        assert pipeline.train().dropped_rows == {"unfinished": 0, "empty": 0}
        verdict = pipeline.evaluate(pipeline.compress(), 0.1)
        assert len(server.asked) == PREFLIGHT + ROWS
        assert job(server).found.missing_rows == 0
    assert (labelled.labelled_rows, labelled.tokens, labelled.unusable_rows) == (ROWS, ROWS * TOKENS, None)
    assert verdict.result == "Pass"
    measured = {model.name: model for model in verdict.measured}
    assert set(measured) == {"teacher", "student", "control"}
    assert measured["teacher"].parameters > 0
    report = json.loads(Path(verdict.report_uri.removeprefix("file://")).read_text())
    digests = pipeline.found.teacher_digests
    assert report["teacher"] == {"uri": f"file://{writing_source}/teacher", "digest": digests["yardstick"]}
    assert report["writer"]["uri"] == f"big-chat at {server.url}"


def test_the_perplexity_to_reach_is_that_of_the_folder_alone(
    job: Callable[..., Pipeline], writing_source: Path, tmp_path: Path, context: Context
) -> None:
    with scripted(says_gold) as server:
        written = job(server, micro.TRAINING)
        written.label()
        written.train()
        found = written.evaluate(written.compress(), 0.1)
    alone = Pipeline(writing_source, tmp_path / "alone", context, **micro.from_text(writing_source))
    alone.label()
    alone.train()
    wanted = alone.evaluate(alone.compress(), 0.1)
    teachers = [next(model for model in each.measured if model.name == "teacher") for each in (found, wanted)]
    assert teachers[0].value == teachers[1].value
    assert teachers[0].parameters == teachers[1].parameters


def test_a_prompt_is_the_users_turn_and_nothing_is_drawn_without_a_temperature(job: Callable[..., Pipeline]) -> None:
    with scripted(says_gold) as server:
        job(server)
    body = server.asked[0]
    assert body["messages"] == [{"role": "user", "content": server.texts[0]}]
    assert (body["model"], body["max_tokens"], body["temperature"]) == ("big-chat", 12, 0)
    assert "seed" not in body


def test_an_instruction_is_the_systems_turn_and_makes_other_labels(job: Callable[..., Pipeline]) -> None:
    with scripted(says_gold) as server:
        plain = job(server)
        told = job(server, instruction="Go on.")
    assert server.asked[-1]["messages"][0] == {"role": "system", "content": "Go on."}
    assert plain.found.labels_key != told.found.labels_key


def test_every_row_is_drawn_by_a_seed_of_its_own(job: Callable[..., Pipeline]) -> None:
    with scripted(says_gold) as server:
        job(server, soft_labels={"temperature": 0.7, "seed": 1}).label()
    assert {body["temperature"] for body in server.asked} == {0.7}
    seeds = dict(zip(server.texts, (body["seed"] for body in server.asked), strict=True))
    assert len(seeds) == len(set(seeds.values())) == ROWS
    assert all(0 <= seed < 2**31 for seed in seeds.values())


def test_a_rows_seed_is_the_same_in_every_version_and_another_by_the_specs_seed() -> None:
    assert row_seed("a" * 64, 0) == 1753019202
    assert row_seed("a" * 64, 1) != row_seed("a" * 64, 0)


def test_answers_that_cannot_be_learned_are_counted_kept_and_not_asked_for_again(
    job: Callable[..., Pipeline], storage: Path
) -> None:
    bad = {
        "the cat": refusal(400, "too long"),
        "the dog": completion("sees the", TOKENS, finish="length"),
        "the owl": completion("", TOKENS),
    }
    with scripted(but(bad)) as server:
        pipeline = job(server, minUsableShare=0.1)
        labelled = pipeline.label()
        assert pipeline.label().labelled_rows == 0
        assert len(server.asked) == PREFLIGHT + ROWS
        trained = pipeline.train()
    cat, dog, owl = (sum(text.startswith(start) for text in server.texts[PREFLIGHT:]) for start in bad)
    assert min(cat, dog, owl) > 0
    assert labelled.unusable_rows == cat + dog + owl
    assert labelled.tokens == (ROWS - cat) * TOKENS
    kept = list(stored_answers(storage).values())
    assert [kept.count(pair) for pair in (("", False), ("sees the", False), ("", True))] == [cat, dog, owl]
    assert set(trained.dropped_rows) == {"unfinished", "empty"}
    assert 0 < trained.dropped_rows["empty"] <= owl
    record = json.loads(next(storage.rglob("train.json")).read_text())
    assert record["control"]["rows"] == 18  # every gold response, whatever the answer was


def test_too_few_usable_answers_fail_the_job_and_the_next_until_it_asks_for_less(job: Callable[..., Pipeline]) -> None:
    with scripted(but({"the cat": completion("sees", finish="length")})) as server:
        pipeline = job(server)
        with pytest.raises(InputRefused, match=r"26 rows: \d+ answered, \d+ unfinished; .* raise softLabels.maxNewTok"):
            pipeline.label()
        with pytest.raises(InputRefused, match=r"answered 26 of these rows before, \d+ of them usably") as refused:
            job(server)
        assert job(server, minUsableShare=0.1).found.missing_rows == 0
    assert refused.value.reason == "AnswersUnusable"


def test_preflight_refuses_a_writer_that_gives_nothing_to_learn(job: Callable[..., Pipeline]) -> None:
    with (
        scripted(lambda text, before: refusal(400, "temperature must be at most 2")) as server,
        pytest.raises(InputRefused, match=r"4 rows: 4 refused; .*temperature must be at most 2") as refused,
    ):
        job(server)
    assert refused.value.reason == "AnswersUnusable"
    assert len(server.asked) == PREFLIGHT


def test_an_attempt_that_ends_early_keeps_its_answers_and_the_next_asks_for_the_rest(
    job: Callable[..., Pipeline],
) -> None:
    allowed = PREFLIGHT + 10

    def until(text: str, before: int) -> Reply:
        return says_gold(text, before) if len(server.asked) <= allowed else refusal(403, "revoked")

    with scripted(until) as server:
        pipeline = job(server, concurrency=1)
        with pytest.raises(InputRefused, match="403: revoked"):
            pipeline.label()
        allowed = 1000
        assert pipeline.label().labelled_rows == ROWS - 10
    assert len(server.asked) == PREFLIGHT + ROWS + 1


def test_a_budget_holds_with_the_longest_answer_in_mind(job: Callable[..., Pipeline]) -> None:
    most = 12 + 32 + max(len(prompt.encode()) for prompt in GOLD)
    with scripted(says_gold) as server:
        pipeline = job(server, tokenBudget=3 * TOKENS + most, concurrency=1)
        with pytest.raises(InputRefused, match=r"tokenBudget leaves") as refused:
            pipeline.label()
    assert refused.value.reason == "TokensUsedUp"
    assert 4 <= len(server.asked) - PREFLIGHT <= (3 * TOKENS + most) // TOKENS


def test_another_yardstick_makes_another_student_and_asks_nobody_again(
    job: Callable[..., Pipeline], writing_source: Path, storage: Path, context: Context, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(writing_source / "teacher", other / "teacher")
    (other / "teacher" / "README.json").write_text("{}")
    for file in writing_source.glob("*.parquet"):
        shutil.copy(file, other)
    with scripted(says_gold) as server:
        first = job(server)
        first.label()
        second = Pipeline(writing_source, storage, context, training=SLOW, **fields(server, other / "teacher"))
    assert second.found.missing_rows == 0
    assert second.found.student_key != first.found.student_key


def test_answers_are_balanced_by_slice_and_the_folder_is_held_against_in_every_one(
    writing_source: Path, storage: Path, context: Context, tmp_path: Path
) -> None:
    with scripted(says_gold) as server:
        given = fields(server, writing_source / "teacher")
        for field in ("train", "unlabelled", "test"):
            table = pq.read_table(given["dataset"][field].removeprefix("file://"))
            pq.write_table(table.append_column("from", [[field] * len(table)]), tmp_path / f"{field}.parquet")
            given["dataset"][field] = f"file://{tmp_path}/{field}.parquet"
        given["dataset"]["columns"] |= {"slice": "from"}
        given["dataset"]["filters"] = {"answers": {"maxPerSlice": 2}}
        pipeline = Pipeline(writing_source, storage, context, **given)
        pipeline.label()
        assert pipeline.train().dropped_rows["balance"] == ROWS - 2 - 4
        verdict = pipeline.evaluate(pipeline.compress(), 0.1)
    assert {model.items for model in verdict.measured} == {8}


def test_layers_of_the_folder_start_the_student(job: Callable[..., Pipeline], storage: Path) -> None:
    with scripted(says_gold) as server:
        pipeline = job(server, micro.TRAINING)
        pipeline.fields["student"] = {"from": {"teacher": "yardstick", "layers": [1]}}
        pipeline.label()
        pipeline.train()
    config = json.loads(next(storage.rglob("student/config.json")).read_text())
    assert config["hidden_size"] == 32  # the folder's


def test_a_folder_that_cannot_be_held_against_is_refused_before_anything_is_written(
    writing_source: Path, storage: Path, context: Context, tmp_path: Path
) -> None:
    folder = tmp_path / "teacher"
    shutil.copytree(writing_source / "teacher", folder)
    micro.write_tokenizer(folder, eos_token="<user>")
    for file in writing_source.glob("*.parquet"):
        shutil.copy(file, tmp_path)
    with scripted(says_gold) as server, pytest.raises(InputRefused, match=r"^teachers\[1\]\.model: ") as refused:
        Pipeline(writing_source, storage, context, **fields(server, folder))
    assert refused.value.reason == "TokenizerMismatch"


def test_a_folder_whose_chat_template_fails_is_named_by_its_place(
    writing_source: Path, storage: Path, context: Context, tmp_path: Path
) -> None:
    folder = tmp_path / "teacher"
    shutil.copytree(writing_source / "teacher", folder)
    micro.write_tokenizer(folder, chat_template="{{ raise_exception('no') }}")
    for file in writing_source.glob("*.parquet"):
        shutil.copy(file, tmp_path)
    with scripted(says_gold) as server, pytest.raises(InputRefused, match=r"^teachers\[1\]\.model: the chat template"):
        Pipeline(writing_source, storage, context, **fields(server, folder))
    assert not server.asked


def test_what_answers_will_take_is_told_by_the_first_ones(job: Callable[..., Pipeline], storage: Path) -> None:
    with scripted(says_gold) as server:
        pipeline = job(server)
        pipeline.label()
    stored = sum(path.stat().st_size for path in storage.rglob("segments/*.parquet"))
    assert stored < pipeline.found.label_bytes < ROWS * 1000
    assert pq.read_table(next(storage.rglob("segments/*.parquet"))).num_rows == ROWS
