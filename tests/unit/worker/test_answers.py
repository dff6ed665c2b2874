"""What a teacher wrote: which answers are learned from, and what each filter counts."""

import math

import pytest
from distillery_api.chat_server import ChatServer
from distillery_api.filters import Answers, NearDuplicates
from distillery_api.judge import Judge
from distillery_worker.data.answers import Answer, answer_filters, echo, repetition, stored_answer
from distillery_worker.data.sifting import sift
from distillery_worker.teachers.writing_teacher import text_labels

PROMPT = "Why does the sea look blue on a clear day?"
GOOD = Answer(PROMPT, "Water takes up red light more than blue light, so what comes back is mostly blue.", True, -0.7)
ALL = Answers(max_repetition=0.3, max_echo=0.5, min_likelihood=-1.5)


@pytest.mark.parametrize(
    ("fault", "answer"),
    [
        pytest.param("unfinished", GOOD._replace(finished=False), id="cut at the limit of tokens"),
        pytest.param("empty", GOOD._replace(text=" \n"), id="ended at once"),
        pytest.param("echoes", GOOD._replace(text=f"{PROMPT}\n"), id="the prompt again"),
        pytest.param("repetition", GOOD._replace(text="so it is and " * 20), id="the same words over and over"),
        pytest.param("unlikely", GOOD._replace(log_likelihood=-1.6), id="words that the teacher finds unlikely"),
    ],
)
def test_an_answer_that_falls_short_is_dropped_and_counted(fault: str, answer: Answer) -> None:
    kept, dropped = sift([answer, GOOD], answer_filters(ALL))
    assert kept == [GOOD]
    assert {name: count for name, count in dropped.items() if count} == {fault: 1}


@pytest.mark.parametrize(("grade", "fault"), [(0, "ungraded"), (None, "ungraded"), (6, "judge"), (7, None), (10, None)])
def test_what_a_judge_grades_low_or_not_at_all_is_dropped(grade: int | None, fault: str | None) -> None:
    filters = answer_filters(Answers(judge=Judge(endpoint=ChatServer(url="http://host/v1", model="m"), min_score=7)))
    _, dropped = sift([GOOD._replace(grade=grade)], filters)
    assert [name for name, count in dropped.items() if count] == ([fault] if fault else [])


def test_alike_answers_are_compared_once_the_judge_has_spoken() -> None:
    judge = Judge(endpoint=ChatServer(url="http://host/v1", model="m"), min_score=7)
    answers = [GOOD._replace(grade=2), GOOD._replace(prompt="And at night?", grade=9)]
    kept, _ = sift(answers, answer_filters(Answers(judge=judge, near=NearDuplicates())))
    assert kept == answers[1:]


def test_a_grade_belongs_to_a_prompt_and_an_answer() -> None:
    others = [GOOD._replace(prompt="And at night?"), GOOD._replace(text="It is not.")]
    assert len({GOOD.key, *(other.key for other in others)}) == 3
    assert GOOD._replace(grade=3, slice="a", log_likelihood=-2.0).key == GOOD.key


def test_an_answer_as_likely_as_is_asked_for_stays() -> None:
    kept, _ = sift([GOOD], answer_filters(Answers(min_likelihood=-0.7)))
    assert kept == [GOOD]


def test_equal_answers_are_equal_though_an_endpoint_tells_no_likelihood() -> None:
    one, other = (stored_answer("why", text_labels("because", True, math.nan)) for _ in range(2))
    assert one == other
    assert one.log_likelihood is None


def test_of_answers_that_are_alike_the_first_stays() -> None:
    again = GOOD._replace(prompt="And on a cloudy day?", text=GOOD.text.replace("mostly", "largely"))
    other = GOOD._replace(prompt="How do bees find home?", text="By the sun, and by what they remember of the way.")
    kept, dropped = sift([GOOD, again, other], answer_filters(Answers(near=NearDuplicates(threshold=0.7))))
    assert kept == [GOOD, other]
    assert dropped["alike"] == 1


def test_each_slice_has_so_many_answers_of_those_that_are_left() -> None:
    answers = [GOOD._replace(prompt=f"{number}?", slice="ab"[number == 5]) for number in range(6)]
    answers[0] = answers[0]._replace(finished=False)
    kept, dropped = sift(answers, answer_filters(Answers(max_per_slice=2)))
    assert [answer.prompt for answer in kept] == ["1?", "2?", "5?"]
    assert dropped == {"unfinished": 1, "empty": 0, "balance": 2}


def test_without_a_filter_only_empty_and_unfinished_answers_are_dropped() -> None:
    answers = [GOOD._replace(text=PROMPT), GOOD._replace(text="so it is and " * 20), GOOD._replace(text="")]
    kept, dropped = sift(answers, answer_filters(Answers()))
    assert kept == answers[:2]
    assert dropped == {"unfinished": 0, "empty": 1}


@pytest.mark.parametrize(
    ("text", "share"),
    [
        pytest.param("a b c", 0.0, id="too short to repeat anything"),
        pytest.param("a b c d e f g", 0.0, id="four runs, all different"),
        pytest.param("a b c d a b c d", 1 / 5, id="one of five runs came before"),
        pytest.param("a a a a a a", 2 / 3, id="two of three runs came before"),
    ],
)
def test_repetition_is_the_share_of_runs_that_came_before(text: str, share: float) -> None:
    assert repetition(text) == pytest.approx(share)


@pytest.mark.parametrize(
    ("text", "similarity"),
    [(PROMPT, 1.0), (PROMPT.upper(), 1.0), (f"{PROMPT} {GOOD.text}", pytest.approx(38 / 120, abs=0.02))],
)
def test_an_echo_is_as_much_as_prompt_and_answer_share(text: str, similarity: float) -> None:
    assert echo(GOOD._replace(text=text)) == similarity
