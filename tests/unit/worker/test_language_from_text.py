"""A student that learns what its teacher writes: the whole run, what of the answers is learned, and what is refused."""

import json
from pathlib import Path
from typing import Any

import micro_language as micro
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from distillery.__main__ import main
from distillery_api.filters import Answers, Filters
from distillery_api.objective import Objective
from distillery_worker.context import Context
from distillery_worker.data.answers import Answer
from distillery_worker.data.blocks import Block, predicted_ids
from distillery_worker.errors import InputRefused
from distillery_worker.evaluation.likelihood import mean_losses
from distillery_worker.students.llama import load_decoder
from distillery_worker.teachers.teacher import BatchTeacher
from distillery_worker.teachers.writing_teacher import WritingTeacher
from distillery_worker.training.answer_learner import AnswerLearner, Lesson, Lessons, kept_answers, without_answers
from distillery_worker.training.examples import Split
from test_language_stages import Pipeline

VOCABULARY = 4 + len(micro.WORDS)
SLOW = micro.TRAINING | {"epochs": 10, "control": {"learningRate": 0.02}}


def stored_answers(storage: Path) -> dict[str, tuple[str, bool]]:
    """Answers by row key."""
    rows = [row for path in storage.rglob("segments/*.parquet") for row in pq.read_table(path).to_pylist()]
    return {row["row_key"]: (row["answer"], *row["finished"]) for row in rows}


def test_the_whole_run_ends_in_a_verdict_on_the_gold_responses(
    writing_source: Path, storage: Path, context: Context, capsys: pytest.CaptureFixture[str]
) -> None:
    pipeline = Pipeline(writing_source, storage, context, training=SLOW, **micro.from_text(writing_source))
    assert pipeline.found.rows == {"train": 20, "unlabelled": 6, "test": 8}
    assert pipeline.found.missing_rows == pipeline.label().labelled_rows == 26
    trained = pipeline.train()
    assert trained.dropped_rows == {"unfinished": 0, "empty": 0}
    verdict = pipeline.evaluate(pipeline.compress(), 0.1)
    assert verdict.result == "Pass"
    measured = {model.name: model for model in verdict.measured}
    assert set(measured) == {"teacher", "student", "control"}
    assert measured["teacher"].value < measured["student"].value < len(micro.WORDS)
    assert measured["student"].items == 8

    record = json.loads(next(storage.rglob("train.json")).read_text())
    assert record["validationRows"] == 2
    assert (record["student"]["rows"], record["control"]["rows"]) == (24, 18)
    assert record["student"]["signal"] > 0.001
    assert 0 < record["student"]["initialDivergence"] < 1 + np.log(VOCABULARY)
    assert main(["labels", "verify", f"file://{storage}"]) == 0
    assert "1 of 1 segments sound, 26 rows" in capsys.readouterr().out
    assert main(["labels", "inspect", f"file://{storage}"]) == 0
    assert '"kind": "text"' in capsys.readouterr().out


def test_shards_write_what_one_pod_writes_and_a_second_run_writes_nothing(
    writing_source: Path, storage: Path, tmp_path: Path, context: Context
) -> None:
    fields = micro.from_text(writing_source)
    drawn = fields["softLabels"] | {"temperature": 1.0}
    Pipeline(writing_source, storage, context, **fields | {"softLabels": drawn}).label()
    sharded = Pipeline(writing_source, tmp_path / "sharded", context, **fields | {"softLabels": drawn | {"shards": 2}})
    for shard in (0, 1):
        sharded.context = Context(workdir=context.workdir, shard=shard)
        sharded.label()
    assert stored_answers(storage) == stored_answers(tmp_path / "sharded")
    assert sharded.label().labelled_rows == 0


def test_a_kill_costs_few_answers(
    writing_source: Path, storage: Path, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert WritingTeacher.segment_rows < BatchTeacher.segment_rows
    monkeypatch.setattr(WritingTeacher, "segment_rows", 10)
    Pipeline(writing_source, storage, context, **micro.from_text(writing_source)).label()
    records = [json.loads(path.read_text()) for path in storage.rglob("segments/*.json")]
    assert sorted(record["rows"] for record in records) == [6, 10, 10]


def test_what_answers_will_take_is_told_by_the_first_ones(
    writing_source: Path, storage: Path, context: Context
) -> None:
    pipeline = Pipeline(writing_source, storage, context, **micro.from_text(writing_source))
    pipeline.label()
    stored = sum(path.stat().st_size for path in storage.rglob("segments/*.parquet"))
    assert stored < pipeline.found.label_bytes < 26 * 1000


@pytest.mark.parametrize("changes", [{"maxNewTokens": 11}, {"temperature": 1.0}])
def test_how_it_is_written_makes_other_labels(
    changes: dict[str, Any], writing_source: Path, storage: Path, context: Context
) -> None:
    fields = micro.from_text(writing_source)
    other = fields | {"softLabels": fields["softLabels"] | changes}
    keys = [Pipeline(writing_source, storage, context, **each).found.labels_key for each in (fields, other)]
    assert keys[0] != keys[1]


def test_another_student_and_other_filters_write_nothing_again(
    writing_source: Path, storage: Path, context: Context
) -> None:
    Pipeline(writing_source, storage, context, **micro.from_text(writing_source)).label()
    fields = micro.from_text(writing_source, filters={"answers": {"maxRepetition": 0.3}})
    other = Pipeline(writing_source, storage, context, objective={"alpha": 0.5}, **fields)
    assert other.found.missing_rows == 0
    assert set(other.train().dropped_rows) == {"unfinished", "empty", "repetition"}


def test_a_slice_gives_so_many_answers_to_learn_from(
    writing_source: Path, storage: Path, context: Context, tmp_path: Path
) -> None:
    fields = micro.from_text(writing_source, filters={"answers": {"maxPerSlice": 2}})
    for field in ("train", "unlabelled", "test"):
        table = pq.read_table(fields["dataset"][field].removeprefix("file://"))
        pq.write_table(table.append_column("from", [[field] * len(table)]), tmp_path / f"{field}.parquet")
        fields["dataset"][field] = f"file://{tmp_path}/{field}.parquet"
    fields["dataset"]["columns"] |= {"slice": "from"}
    pipeline = Pipeline(writing_source, storage, context, **fields)
    pipeline.label()
    dropped = pipeline.train().dropped_rows
    assert dropped["balance"] == 24 - dropped["unfinished"] - 4


def test_answers_that_their_teacher_finds_unlikely_are_not_learned(
    writing_source: Path, storage: Path, context: Context
) -> None:
    drawn = {"softLabels": {"kind": "text", "maxNewTokens": 12, "temperature": 2.0}}
    fields = micro.from_text(writing_source, filters={"answers": {"minLikelihood": -1.0}}) | drawn
    pipeline = Pipeline(writing_source, storage, context, **fields)
    pipeline.label()
    rows = [row for path in storage.rglob("segments/*.parquet") for row in pq.read_table(path).to_pylist()]
    unlikely = sum(row["log_likelihood"][0] < -1 and row["finished"][0] for row in rows)
    dropped = pipeline.train().dropped_rows["unlikely"]
    assert unlikely - 2 <= dropped <= unlikely  # two rows only validate
    assert 0 < dropped < len(rows)


def test_a_prompt_in_both_files_is_refused_whatever_its_response(
    writing_source: Path, storage: Path, context: Context, tmp_path: Path
) -> None:
    prompt = pq.read_table(writing_source / "prompts.parquet").to_pydict()["question"][3]
    table = {"question": ["the owl", prompt], "answer": ["sleeps", "barks"]}
    pq.write_table(pa.table(table), tmp_path / "test.parquet")
    with pytest.raises(InputRefused, match=r"1 rows, the first in row 2, are in dataset.unlabelled too") as caught:
        Pipeline(
            writing_source, storage, context, **micro.from_text(writing_source, test=f"file://{tmp_path}/test.parquet")
        )
    assert caught.value.reason == "TestInTraining"


def test_a_prompt_of_a_test_row_is_contamination(
    writing_source: Path, storage: Path, context: Context, tmp_path: Path
) -> None:
    prompt = pq.read_table(writing_source / "prompts.parquet").to_pydict()["question"][3]
    pq.write_table(
        pa.table({"question": [prompt, "the owl"], "answer": ["barks", "sleeps"]}), tmp_path / "test.parquet"
    )
    dataset = {"test": f"file://{tmp_path}/test.parquet", "filters": {"contamination": {}}}
    found = Pipeline(writing_source, storage, context, **micro.from_text(writing_source, **dataset)).found
    assert (found.dropped_rows["contamination"], found.rows["unlabelled"]) == (1, 5)


@pytest.mark.parametrize(
    ("fields", "reason", "words"),
    [
        pytest.param({"objective": {"divergence": "jsd"}}, "BiasedSoftLabels", "the words alone", id="a divergence"),
        pytest.param({"objective": {"temperature": 2}}, "BiasedSoftLabels", "the words alone", id="a temperature"),
        pytest.param(
            {"softLabels": {"kind": "text", "maxNewTokens": 19}}, "PromptTooLong", "lower maxNewTokens", id="no room"
        ),
    ],
)
def test_what_is_wrong_is_found_before_anything_is_written(
    fields: dict[str, Any], reason: str, words: str, writing_source: Path, storage: Path, context: Context
) -> None:
    with pytest.raises(InputRefused, match=words) as caught:
        Pipeline(writing_source, storage, context, **micro.from_text(writing_source) | fields)
    assert caught.value.reason == reason


def block(*ids: int, first: int = 1) -> Block:
    return Block(np.array(ids, dtype=np.int32), first)


GOLD = Lesson(Answer("one", "cut", False, -1.0), block(4, 5, 6, first=2), block(4, 7, 8, 9, first=1))
BOTH = Lesson(Answer("two", "an answer", True, -1.0), block(4, 6, first=1), block(5, 8, 9, first=1))
NEW = Lesson(Answer("three", "another", True, -1.0), block(7, 5, 6, 8, first=1), None)
CUT = Lesson(Answer("four", "also cut", False, -1.0), block(7, 5), None)
LESSONS = Lessons([GOLD, BOTH, NEW, CUT])


def test_an_answer_that_is_dropped_leaves_its_gold_response() -> None:
    split = kept_answers(Split(LESSONS, Lessons([])), Filters())
    assert [row.answer.prompt for row in split.learn.rows] == ["one", "two", "three"]
    assert [row.taught is None for row in split.learn.rows] == [True, False, False]
    assert split.dropped == {"unfinished": 2, "empty": 0}


def test_the_control_learns_every_gold_response_and_no_answer() -> None:
    rows = without_answers(kept_answers(Split(LESSONS, Lessons([])), Filters()).learn).rows
    assert [(row.taught, row.gold) for row in rows] == [(None, GOLD.gold), (None, BOTH.gold)]


def test_a_teacher_of_which_no_answer_is_left_is_refused_with_counts() -> None:
    split = Split(Lessons([GOLD, CUT]), Lessons([]))
    with pytest.raises(
        InputRefused, match=r"dropped: unfinished 2, empty 0, echoes 0\); .* raise softLabels.maxNewTokens"
    ) as caught:
        kept_answers(split, Filters(answers=Answers(max_echo=0.5)))
    assert caught.value.reason == "EmptyTrainSet"


@pytest.fixture(scope="module")
def model(writing_source: Path) -> Any:
    return load_decoder(writing_source / "teacher")


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_the_loss_mixes_answers_and_gold_responses_each_by_its_own_tokens(model: Any, alpha: float) -> None:
    def mean(blocks: list[Block]) -> float:
        tokens = [each.predicted for each in blocks]
        return float(np.average(mean_losses(model, blocks), weights=tokens))

    lessons = Lessons([GOLD, BOTH, NEW])
    taught, gold = [row.taught for row in lessons.rows], [GOLD.gold, BOTH.gold]
    learner = AnswerLearner(Objective(alpha=alpha), VOCABULARY)
    parts = [learner.loss(model, lessons, np.array(rows)) for rows in ([0], [1, 2])]
    whole = learner.loss(model, lessons, np.arange(3))
    assert float(sum(parts).detach()) == pytest.approx(whole.item(), rel=1e-5)
    assert whole.item() == pytest.approx(alpha * mean(taught) + (1 - alpha) * mean(gold), rel=1e-4)


def test_the_loss_has_the_gradient_of_plain_cross_entropy(model: Any) -> None:
    rows = Lessons([NEW])
    loss = AnswerLearner(Objective(alpha=1.0), VOCABULARY).loss(model, rows, np.arange(1))
    logits = model(input_ids=torch.from_numpy(NEW.taught.ids.astype(np.int64))[None]).logits[0, :-1]
    plain = torch.nn.functional.cross_entropy(logits, torch.from_numpy(predicted_ids([NEW.taught])))
    for ours, theirs in zip(
        *(torch.autograd.grad(each, list(model.parameters())) for each in (loss, plain)), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-5)


def test_rows_without_a_word_of_the_wanted_kind_add_nothing(model: Any) -> None:
    loss = AnswerLearner(Objective(alpha=1.0), VOCABULARY).loss(
        model, Lessons([*without_answers(LESSONS).rows[:1], NEW]), np.array([0])
    )
    assert loss.item() == 0
    torch.autograd.backward(loss)


def test_the_score_is_the_log_likelihood_of_gold_tokens_alone(model: Any) -> None:
    score = AnswerLearner(Objective(alpha=1.0), VOCABULARY).score(model, Lessons([BOTH]))
    assert score == pytest.approx(-float(mean_losses(model, [BOTH.gold])[0]))
