"""What written answers say before the first step of a student that learns their words."""

from pathlib import Path
from typing import Any

import micro_language as micro
import numpy as np
import pytest
from distillery_api.objective import Objective
from distillery_worker.context import Context
from distillery_worker.data.answers import Answer
from distillery_worker.data.blocks import Block
from distillery_worker.errors import InputRefused
from distillery_worker.evaluation.likelihood import mean_losses
from distillery_worker.students.llama import load_decoder
from distillery_worker.teachers.writing_teacher import WritingTeacher, text_labels
from distillery_worker.training.answer_learner import AnswerLearner, Lesson, Lessons
from distillery_worker.training.first_step import ROWS
from test_language_stages import Pipeline

VOCABULARY = 4 + len(micro.WORDS)


def lesson(prompt: list[int], answer: list[int] | None, gold: list[int] | None = None) -> Lesson:
    taught, response = (
        Block(np.array([*prompt, *words], dtype=np.int32), len(prompt)) if words else None for words in (answer, gold)
    )
    return Lesson(Answer(str(prompt), str(answer), answer is not None, -1.0), taught, response)


LESSONS = Lessons(
    [
        lesson([4, 5], [6, 0], gold=[7, 0]),
        lesson([5], [9, 8, 7, 0]),
        lesson([8, 4], None, gold=[5, 6, 0]),
        lesson([6, 7, 8, 9], [5, 5, 0]),
    ]
)


def learner(alpha: float = 0.5) -> AnswerLearner:
    return AnswerLearner(Objective(alpha=alpha), VOCABULARY)


def test_prompts_are_looked_at_that_have_an_answer_with_the_most_different_ones_first_and_last() -> None:
    alike = [lesson([4 + number], [5, 0]) for number in range(40)]
    few = learner().sample(Lessons([*alike, lesson([5], [4, 0]), lesson([8], None, gold=[4, 0])]))
    assert len(few) == ROWS
    assert all(row.taught for row in few.rows)
    assert (few.rows[0].answer.text, few.rows[-1].answer.text) == ("[4, 0]", "[5, 0]")


def test_without_any_answer_there_is_no_signal() -> None:
    with pytest.raises(InputRefused, match="no row to learn from has an answer") as caught:
        learner().sample(Lessons([lesson([4], None, gold=[5, 0])]))
    assert caught.value.reason == "NoSignal"


def test_exchanged_answers_stand_after_the_prompt_that_follows_and_fit_into_its_block() -> None:
    moved = learner().exchanged(LESSONS)
    blocks = [(row.taught.ids.tolist(), row.taught.first) if row.taught else None for row in moved.rows]
    assert blocks == [([4, 5, 5, 5, 0], 2), ([5, 6, 0], 1), None, ([6, 7, 8, 9, 9, 8, 7], 4)]
    assert [row.gold for row in moved.rows] == [row.gold for row in LESSONS.rows]


def test_the_divergence_is_the_answers_mean_loss_of_a_token_whatever_alpha_is(writing_source: Path) -> None:
    model, batch = load_decoder(writing_source / "teacher"), LESSONS.take(np.array([0, 1, 3]))
    found = [learner(alpha=0.2).divergence(model, batch, np.array(rows)).item() for rows in ([0, 1], [2])]
    blocks: list[Any] = [row.taught for row in batch.rows]
    losses = np.average(mean_losses(model, blocks), weights=[block.predicted for block in blocks])
    assert sum(found) == pytest.approx(float(losses), rel=1e-4)


@pytest.mark.parametrize("divergence", [float("nan"), 14.0])
def test_a_student_that_begins_far_worse_than_guessing_is_refused(divergence: float) -> None:
    learner().check_start(float(np.log(VOCABULARY)) + 1, LESSONS)
    with pytest.raises(InputRefused, match="guessing is at most") as caught:
        learner().check_start(divergence, LESSONS)
    assert caught.value.reason == "StudentUnfit"


def test_answers_without_a_word_of_the_gold_response_are_learned() -> None:
    learner().check_answers(LESSONS)
    assert learner().units(LESSONS).tolist() == [0, 1, 2, 3]


def test_a_teacher_that_answers_every_prompt_alike_teaches_nothing(
    writing_source: Path, storage: Path, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(WritingTeacher, "stored", lambda self, written: text_labels("the cat sleeps", True, -1.0))
    pipeline = Pipeline(writing_source, storage, context, **micro.from_text(writing_source))
    pipeline.label()
    with pytest.raises(InputRefused, match="exchanging them among rows changes the first gradient") as caught:
        pipeline.train()
    assert caught.value.reason == "NoSignal"
