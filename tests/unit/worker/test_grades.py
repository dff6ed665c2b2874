"""What a judge is asked of an answer, and which of its replies are grades."""

import threading

import pytest
from chat_server import ChatServer, Reply, completion, refusal, scripted
from distillery_worker.data.answers import Answer
from distillery_worker.errors import InputRefused
from distillery_worker.judging.grades import EARLY, REMINDER, Grade, GradeQuestions, Heard, read_grade
from distillery_worker.teachers.asking import Interview, Terms
from distillery_worker.teachers.chat_endpoint import ChatEndpoint

ANSWER = Answer("Why is the sea blue?", "It takes up red light.", True, -0.5)
QUESTIONS = GradeQuestions("Grade by length.")


def graded(server: ChatServer) -> Grade:
    """What the judge at the server says of the answer."""
    found = list[Grade]()

    def write(_: list[str], grades: list[Grade], __: int) -> None:
        found.extend(grades)

    interview = Interview({"one": ANSWER}, QUESTIONS, write, lambda _: None, Terms(), threading.Event())
    interview.run(ChatEndpoint("judge: 'm'", server.url, "m", None, timeout=5))
    return found[0]


@pytest.mark.parametrize(
    ("reply", "grade"),
    [
        ("7", 7),
        (" 10\n", 10),
        ("1", 1),
        ("**8**", 8),
        ("Grade: 9", 9),
        ("score - 4", 4),
        ("7/10", 7),
        ("7. It is complete.", 7),
        ("3, since it is short", 3),
        ("0", 0),
        ("11", 0),
        ("100", 0),
        ("-3", 0),
        ("7.5", 0),
        ("7,5", 0),
        ("7-8", 0),
        ("On a scale of 1 to 10 I would give it a 7", 0),
        ("seven", 0),
        ("", 0),
    ],
)
def test_a_reply_is_a_grade_where_it_begins_with_a_whole_number_of_the_scale(reply: str, grade: int) -> None:
    assert read_grade(reply) == grade


def test_the_judge_is_told_what_to_grade_by_and_sees_prompt_and_answer() -> None:
    with scripted(lambda *_: completion("8")) as server:
        assert graded(server) == Grade(8, "8")
    (body,) = server.asked
    told, asked = (message["content"] for message in body["messages"])
    assert told == "Grade by length.\nReply with a whole number from 1 (worst) to 10 (best), and nothing else."
    assert ANSWER.prompt in asked
    assert ANSWER.text in asked
    assert (body["temperature"], body["max_tokens"]) == (0, 16)


def test_a_reply_that_is_no_grade_is_asked_for_once_more() -> None:
    with scripted(lambda text, _: completion("6" if text == REMINDER else "It is good.")) as server:
        assert graded(server).value == 6
    roles = [message["role"] for message in server.asked[1]["messages"]]
    assert roles == ["system", "user", "assistant", "user"]
    assert server.asked[1]["messages"][2]["content"] == "It is good."


@pytest.mark.parametrize(
    ("reply", "asked"),
    [(completion("It is good."), 2), (refusal(400, "too long"), 1)],
    ids=["words alone", "refused by the server"],
)
def test_an_answer_that_gets_no_grade_is_not_asked_about_again(reply: Reply, asked: int) -> None:
    with scripted(lambda *_: reply) as server:
        assert graded(server).value == 0
    assert len(server.asked) == asked


def test_a_judge_that_gives_hardly_any_grades_is_asked_no_more() -> None:
    heard, none = Heard("judge: 'm'"), Grade(0, "It is good.")
    heard.add([none] * (EARLY - 1))
    with pytest.raises(InputRefused, match=rf"graded 1 of {EARLY} answers; .* 'It is good.'") as caught:
        heard.add([Grade(7, "7")])
    assert caught.value.reason == "AnswersUnusable"


def test_a_judge_that_grades_every_other_answer_is_asked_on() -> None:
    heard = Heard("judge: 'm'")
    heard.add([Grade(7, "7"), Grade(0, "?")] * EARLY)
    assert heard.grades == EARLY
