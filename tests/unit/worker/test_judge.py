"""Jobs whose teacher's answers a judge grades: which are asked about, what is paid once, kept, counted and refused."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import micro_language as micro
import pyarrow.parquet as pq
import pytest
from chat_server import ChatServer, Reply, completion, refusal, scripted
from distillery.__main__ import main
from distillery_worker.context import Context
from distillery_worker.errors import InputRefused, Interrupted
from distillery_worker.judging.grades import REMINDER
from test_language_stages import Pipeline

ROWS = 26


def by_length(text: str, before: int) -> Reply:
    """A judge that likes long answers."""
    words = text.split("[Start of the answer]\n")[1].split("\n[End")[0].split()
    return completion(str(min(10, len(words))), tokens=10)


def judged(source: Path, server: ChatServer, minimum: int = 5, **changes: Any) -> dict[str, Any]:
    """Fields of a run whose judge is at the server; changes: of the filters, of the judge and of its endpoint."""
    endpoint = {"url": server.url, "model": "judge"} | changes.pop("endpoint", {})
    judge = {"endpoint": endpoint, "minScore": minimum} | changes.pop("judge", {})
    return micro.from_text(source, filters={"answers": {"judge": judge} | changes})


def stored(storage: Path, column: str) -> dict[str, dict[str, Any]]:
    """Rows of the label sets that have the column, by key."""
    rows = [row for path in storage.rglob("segments/*.parquet") for row in pq.read_table(path).to_pylist()]
    return {row["row_key"]: row for row in rows if column in row}


def test_answers_below_the_least_grade_are_not_learned_and_both_counts_are_told(
    writing_source: Path, storage: Path, context: Context, capsys: pytest.CaptureFixture[str]
) -> None:
    with scripted(by_length) as server:
        pipeline = Pipeline(writing_source, storage, context, **judged(writing_source, server))
        assert (pipeline.found.missing_rows, pipeline.found.ungraded_rows) == (ROWS, 0)
        assert len(server.asked) == 2
        labelled = pipeline.label()
        dropped = pipeline.train().dropped_rows
        answers = stored(storage, "answer").values()
        finished = [row for row in answers if row["finished"][0]]
        assert len(server.asked) == 2 + len(finished)
    assert labelled.tokens == 10 * len(finished)
    assert (labelled.labelled_rows, labelled.unusable_rows) == (ROWS, None)
    short = sum(len(row["answer"].split()) < 5 for row in finished)
    assert dropped["ungraded"] == 0
    assert short - 2 <= dropped["judge"] <= short  # two rows only validate
    assert 0 < dropped["judge"] < len(finished)
    record = json.loads(next(storage.rglob("train.json")).read_text())
    assert record["gradesKey"] == pipeline.found.grades_key
    assert record["droppedRows"] == dropped
    assert main(["labels", "verify", f"file://{storage}"]) == 0
    assert capsys.readouterr().out.count("1 of 1 segments sound") == 2


def test_another_least_grade_and_another_student_ask_nobody_again(
    writing_source: Path, storage: Path, context: Context
) -> None:
    with scripted(by_length) as server:
        first = Pipeline(writing_source, storage, context, **judged(writing_source, server))
        first.label()
        asked = len(server.asked)
        fields = judged(writing_source, server, 3, endpoint={"concurrency": 2, "timeoutSeconds": 9})
        again = Pipeline(writing_source, storage, context, objective={"alpha": 0.5}, **fields)
        assert (again.found.missing_rows, again.found.ungraded_rows) == (0, 0)
        again.label()
        assert len(server.asked) == asked + 2  # those of preflight
    assert again.found.grades_key == first.found.grades_key
    assert again.found.student_key != first.found.student_key


def test_how_a_judge_is_reached_and_paid_makes_no_other_student(
    writing_source: Path, storage: Path, context: Context
) -> None:
    with scripted(by_length) as server:
        keys = [
            Pipeline(writing_source, storage, context, **judged(writing_source, server, endpoint=endpoint)).found
            for endpoint in ({}, {"concurrency": 3, "timeoutSeconds": 9, "tokenBudget": 10**6})
        ]
    assert keys[0].student_key == keys[1].student_key


@pytest.mark.parametrize("changes", [{"endpoint": {"model": "other"}}, {"judge": {"instruction": "Grade by rhyme."}}])
def test_another_judge_grades_anew_and_the_teacher_writes_nothing(
    changes: dict[str, Any], writing_source: Path, storage: Path, context: Context
) -> None:
    with scripted(by_length) as server:
        first = Pipeline(writing_source, storage, context, **judged(writing_source, server))
        first.label()
        other = Pipeline(writing_source, storage, context, **judged(writing_source, server, **changes))
        assert other.found.missing_rows == 0
        assert other.found.ungraded_rows == len(stored(storage, "grade"))
        labelled = other.label()
    assert (labelled.labelled_rows, labelled.tokens) == (0, 10 * other.found.ungraded_rows)
    assert other.found.grades_key != first.found.grades_key


def test_an_answer_that_another_filter_drops_costs_no_question_until_that_filter_is_loosened(
    writing_source: Path, storage: Path, context: Context
) -> None:
    with scripted(by_length) as server:
        strict = Pipeline(writing_source, storage, context, **judged(writing_source, server, minLikelihood=-0.4))
        strict.label()
        answers = [row for row in stored(storage, "answer").values() if row["finished"][0]]
        likely = [row for row in answers if row["log_likelihood"][0] >= -0.4]
        assert 0 < len(likely) < len(answers)
        assert len(stored(storage, "grade")) == len(likely)
        loose = Pipeline(writing_source, storage, context, **judged(writing_source, server))
        assert loose.found.ungraded_rows == len(answers) - len(likely)
        loose.label()
    assert len(stored(storage, "grade")) == len(answers)


def test_shards_share_the_grading(writing_source: Path, storage: Path, context: Context) -> None:
    with scripted(by_length) as server:
        fields = judged(writing_source, server)
        pipeline = Pipeline(
            writing_source, storage, context, **fields | {"softLabels": fields["softLabels"] | {"shards": 2}}
        )
        before = len(server.asked)
        for shard in (0, 1):
            pipeline.context = replace(context, shard=shard)
            pipeline.label()
        finished = [row for row in stored(storage, "answer").values() if row["finished"][0]]
        assert len(server.asked) - before == len(finished) == len(stored(storage, "grade"))
    assert {json.loads(path.read_text())["shard"] for path in storage.rglob("segments/*.json")} == {0, 1}


def test_a_budget_holds_over_attempts_and_a_larger_one_asks_for_the_rest(
    writing_source: Path, storage: Path, context: Context
) -> None:
    with scripted(by_length) as server:
        small = judged(writing_source, server, endpoint={"tokenBudget": 500, "concurrency": 1})
        pipeline = Pipeline(writing_source, storage, context, **small)
        for _ in range(2):
            with pytest.raises(
                InputRefused, match=r"answers.judge: 'judge' has used .*endpoint.tokenBudget leaves"
            ) as caught:
                pipeline.label()
            assert caught.value.reason == "TokensUsedUp"
        paid = len(stored(storage, "grade"))
        assert 0 < paid <= 50
        pipeline.fields = judged(writing_source, server, endpoint={"tokenBudget": 10**6})
        assert pipeline.label().reused_rows == ROWS
    texts = [text for text in server.texts if text != REMINDER]
    assert len(texts) == 2 + len(stored(storage, "grade"))


def test_a_stop_keeps_what_is_graded_and_the_next_attempt_asks_for_the_rest(
    writing_source: Path, storage: Path, context: Context
) -> None:
    def stopping(text: str, before: int) -> Reply:
        if len(server.asked) == 8:
            context.stop.set()
        return by_length(text, before)

    with scripted(stopping) as server:
        fields = judged(writing_source, server, endpoint={"concurrency": 1})
        pipeline = Pipeline(writing_source, storage, context, **fields)
        with pytest.raises(Interrupted):
            pipeline.label()
        kept = len(stored(storage, "grade"))
        assert 0 < kept < ROWS - 4
        context.stop.clear()
        assert pipeline.label().labelled_rows == 0
        assert len(server.asked) <= 2 + len(stored(storage, "grade")) + 1  # one may be under way at a stop
    assert main(["labels", "verify", f"file://{storage}"]) == 0


def test_answers_without_a_grade_are_counted_apart_and_not_asked_about_again(
    writing_source: Path, storage: Path, context: Context
) -> None:
    def shy(text: str, before: int) -> Reply:
        return completion("I cannot say.") if text == REMINDER or "[Prompt]\nthe old" in text else by_length(text, 0)

    with scripted(shy) as server:
        pipeline = Pipeline(writing_source, storage, context, **judged(writing_source, server, minimum=1))
        pipeline.label()
        asked = len(server.asked)
        pipeline.label()
        assert len(server.asked) == asked
        dropped = pipeline.train().dropped_rows
    none = sum(row["grade"] == [0] for row in stored(storage, "grade").values())
    assert none - 2 <= dropped["ungraded"] <= none
    assert dropped["ungraded"] > 0
    assert dropped["judge"] == 0


def test_grades_that_are_gone_are_asked_for_again_and_nothing_is_learned_without_them(
    writing_source: Path, storage: Path, context: Context
) -> None:
    with scripted(by_length) as server:
        pipeline = Pipeline(writing_source, storage, context, **judged(writing_source, server))
        pipeline.label()
        shutil.rmtree(storage / "labels" / pipeline.found.grades_key.removeprefix("sha256:"))
        with pytest.raises(InputRefused) as caught:
            pipeline.train()
        assert caught.value.reason == "LabelsMissing"
        again = Pipeline(writing_source, storage, context, **judged(writing_source, server))
        assert again.found.missing_rows == 0
        assert again.found.ungraded_rows > 0


@pytest.mark.parametrize(
    ("reply", "reason", "words"),
    [
        pytest.param(refusal(404, "no such model"), "EndpointRefused", "no such model; correct endpoint.url", id="404"),
        pytest.param(refusal(401, "who are you"), "AccessDenied", "correct the key in endpoint.secretRef", id="key"),
        pytest.param(completion("It is good."), "AnswersUnusable", "graded 0 of 2 answers", id="a talker"),
    ],
)
def test_a_judge_that_is_of_no_use_is_refused_before_anything_is_written(
    reply: Reply, reason: str, words: str, writing_source: Path, storage: Path, context: Context
) -> None:
    with scripted(lambda *_: reply) as server, pytest.raises(InputRefused, match=words) as caught:
        Pipeline(writing_source, storage, context, **judged(writing_source, server))
    assert caught.value.reason == reason
    assert caught.value.message.startswith("dataset.filters.answers.judge: 'judge'")
    assert stored(storage, "answer") == {}


def test_the_key_comes_from_the_environment_and_goes_to_the_judge_alone(
    writing_source: Path, storage: Path, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("JUDGE_API_KEY", raising=False)
    with scripted(by_length) as server:
        fields = judged(writing_source, server, endpoint={"secretRef": {"name": "judge-key"}})
        with pytest.raises(InputRefused, match=r"JUDGE_API_KEY is not set.*apiKey.*'judge-key'") as caught:
            Pipeline(writing_source, storage, context, **fields)
        assert caught.value.reason == "AccessDenied"
        monkeypatch.setenv("JUDGE_API_KEY", "sesame")
        Pipeline(writing_source, storage, context, **fields)
    assert set(server.keys) == {"Bearer sesame"}
