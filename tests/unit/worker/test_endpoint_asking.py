"""Questions to an endpoint whose faults are scripted: what is asked again, what is kept, and where it stops."""

import threading
import time
from typing import Any

import pytest
from chat_server import ChatServer, Reply, Script, completion, refusal, scripted
from distillery_worker.errors import EndpointUnavailable, InputRefused, Interrupted
from distillery_worker.teachers.asking import Ask, Interview, Terms
from distillery_worker.teachers.chat_endpoint import ChatEndpoint, Message, Question
from distillery_worker.teachers.pacing import Patience

PATIENCE = Patience(faults=4, seconds=5, first_wait=0.001, longest_wait=0.01)


class Asked:
    """Asks a server for the answer to each text, and keeps what is written."""

    def __init__(self, server: ChatServer, texts: list[str], timeout: float = 5, **terms: Any) -> None:
        self.written: dict[str, str] = {}
        self.tokens: list[int] = []
        self.stop = threading.Event()
        terms = {"patience": PATIENCE, "concurrency": 4} | terms
        self.interview: Interview[str, str] = Interview(
            {text: text for text in texts}, ask_text, self.write, self.seen, Terms(**terms), self.stop
        )
        self.endpoint = ChatEndpoint("teachers: 'big'", server.url, "m", "secret-key", timeout)

    def write(self, keys: list[str], results: list[str], tokens: int) -> None:
        self.written |= dict(zip(keys, results, strict=True))
        self.tokens.append(tokens)

    def seen(self, results: list[str]) -> None:
        if "stop asking" in results:
            raise InputRefused("AnswersUnusable", "teachers: enough")

    def run(self) -> int:
        return self.interview.run(self.endpoint)


async def ask_text(ask: Ask, text: str) -> str:
    """The answer's text; the question's bound is 4 + 32 + the text's bytes."""
    return (await ask(Question((Message("user", text),), max_tokens=4))).text


def rows(count: int) -> list[str]:
    return [f"row {index:02}" for index in range(count)]


def echo(text: str, before: int) -> Reply:
    return completion(text.upper())


def first(reply: Reply, times: int = 1) -> Script:
    """That reply to the first requests of each row, then an answer."""
    return lambda text, before: reply if before < times else completion(text.upper())


def test_every_row_is_asked_once_and_its_answer_written_under_its_key() -> None:
    with scripted(echo) as server:
        asked = Asked(server, rows(20))
        tokens = asked.run()
    assert asked.written == {text: text.upper() for text in rows(20)}
    assert sorted(server.texts) == rows(20)
    assert tokens == sum(asked.tokens) == 200


def test_no_more_questions_are_under_way_than_asked_for() -> None:
    def slow(text: str, before: int) -> Reply:
        time.sleep(0.01)
        return completion(text)

    with scripted(slow) as server:
        Asked(server, rows(20), concurrency=3).run()
    assert server.most_at_once == 3


def test_the_question_is_a_chat_completion_at_temperature_zero_with_the_key_as_bearer() -> None:
    with scripted(echo) as server:
        Asked(server, ["hello"]).run()
    assert server.asked == [
        {"model": "m", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 4, "temperature": 0}
    ]
    assert server.keys == ["Bearer secret-key"]


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(refusal(500, "oops"), id="an error of the server"),
        pytest.param(Reply(503, "<html>upstream</html>"), id="a proxy's error page"),
        pytest.param(refusal(429, "slow down"), id="a limit without a time"),
        pytest.param(refusal(429, "slow down", Retry_After="0"), id="a limit with a time"),
        pytest.param(Reply(200, "not json"), id="an answer that is not JSON"),
        pytest.param(Reply(200, {"choices": []}), id="an answer without a choice"),
        pytest.param(Reply(200, ["no", "object"]), id="an answer that is no object"),
        pytest.param(Reply(200, {"choices": [{}]}, cut=True), id="a connection that is cut"),
    ],
)
def test_a_fault_is_asked_again(fault: Reply) -> None:
    with scripted(first(fault, times=2)) as server:
        asked = Asked(server, rows(3))
        asked.run()
    assert asked.written == {text: text.upper() for text in rows(3)}
    assert len(server.asked) == 9


def test_a_server_that_hangs_is_asked_again_after_the_timeout() -> None:
    with scripted(first(Reply(hang=True))) as server:
        asked = Asked(server, ["hello"], timeout=0.1)
        asked.run()
    assert asked.written == {"hello": "HELLO"}


def test_a_server_that_stays_broken_is_given_up_and_what_it_answered_is_kept() -> None:
    def broken(text: str, before: int) -> Reply:
        return refusal(500, "disk on fire") if text == "row 05" else completion(text)

    with scripted(broken) as server:
        asked = Asked(server, rows(8), concurrency=1)
        with pytest.raises(EndpointUnavailable, match=r"'big' at .* does not answer: 500: disk on fire"):
            asked.run()
    assert sorted(asked.written) == rows(5)
    assert server.texts.count("row 05") == PATIENCE.faults


def test_a_second_run_asks_only_for_what_is_missing() -> None:
    with scripted(lambda text, before: completion(text) if text < "row 03" else refusal(500, "down")) as server:
        asked = Asked(server, rows(6), concurrency=1)
        with pytest.raises(EndpointUnavailable):
            asked.run()
    with scripted(echo) as server:
        Asked(server, [text for text in rows(6) if text not in asked.written]).run()
    assert sorted(server.texts) == rows(6)[3:]


def test_a_limit_holds_all_questions_for_as_long_as_the_server_says() -> None:
    times: list[float] = []

    def limited(text: str, before: int) -> Reply:
        times.append(time.monotonic())
        return refusal(429, "slow down", retry_after_ms="300") if len(times) == 1 else completion(text)

    with scripted(limited) as server:
        Asked(server, rows(4), concurrency=1).run()
    assert times[1] - times[0] >= 0.3


def test_an_exhausted_window_is_waited_for_before_the_server_refuses() -> None:
    times: list[float] = []

    def windowed(text: str, before: int) -> Reply:
        times.append(time.monotonic())
        left = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "200ms"}
        return Reply(body=completion(text).body, headers=left if len(times) == 1 else {})

    with scripted(windowed) as server:
        Asked(server, rows(3), concurrency=1).run()
    assert times[1] - times[0] >= 0.2


def test_limits_without_end_are_given_up_in_time() -> None:
    tomorrow = refusal(429, "come back tomorrow", retry_after="86400")
    with scripted(lambda *_: tomorrow) as server, pytest.raises(EndpointUnavailable, match="come back tomorrow"):
        Asked(server, ["hello"]).run()
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("reply", "reason", "words"),
    [
        pytest.param(refusal(401, "bad key secret-key"), "AccessDenied", r"401: bad key \*\*\*; .*secretRef", id="key"),
        pytest.param(refusal(403, "not yours"), "AccessDenied", "403: not yours", id="rights"),
        pytest.param(refusal(404, "no such model"), "EndpointRefused", "'m'.*404: no such model.*model", id="model"),
        pytest.param(Reply(301, "", {"Location": "http://127.0.0.1:9/"}), "EndpointRefused", "301", id="redirect"),
        pytest.param(refusal(429, "pay first", "insufficient_quota"), "EndpointRefused", "credit", id="no credit"),
    ],
)
def test_what_no_other_try_mends_is_refused_at_once(reply: Reply, reason: str, words: str) -> None:
    with scripted(lambda text, before: reply) as server, pytest.raises(InputRefused, match=words) as refused:
        Asked(server, rows(5), concurrency=1).run()
    assert refused.value.reason == reason
    assert "secret-key" not in refused.value.message
    assert len(server.asked) == 1


def test_a_budget_is_never_exceeded_and_what_it_paid_for_is_kept() -> None:
    with scripted(echo) as server:  # 10 tokens a row; a row may cost 42
        asked = Asked(server, rows(20), concurrency=4, token_budget=100)
        with pytest.raises(InputRefused, match=r"has used 60 tokens.* 100 that endpoint.tokenBudget leaves") as refused:
            asked.run()
    assert refused.value.reason == "TokensUsedUp"
    assert len(asked.written) == len(server.asked) == 6
    assert sum(asked.tokens) == 60


def test_a_budget_that_suffices_does_not_slow_or_stop_anything() -> None:
    with scripted(echo) as server:
        asked = Asked(server, rows(20), token_budget=20 * 10 + 42)
        assert asked.run() == 200
    assert len(asked.written) == 20


def test_a_budget_is_refused_where_the_server_counts_no_tokens() -> None:
    with scripted(lambda text, before: completion(text, tokens=None)) as server:
        assert Asked(server, ["hello"]).run() == 0
        with pytest.raises(InputRefused, match=r"does not count tokens.*tokenBudget"):
            Asked(server, ["hello"], token_budget=1000).run()


def test_a_stop_keeps_the_answers_that_are_under_way() -> None:
    asked: list[Asked] = []

    def stopping(text: str, before: int) -> Reply:
        if text == "row 03":
            asked[0].stop.set()
        return completion(text)

    with scripted(stopping) as server:
        asked.append(Asked(server, rows(1000), concurrency=2))
        with pytest.raises(Interrupted):
            asked[0].run()
    assert sorted(asked[0].written) == sorted(server.texts)
    assert len(server.texts) < 1000


@pytest.mark.parametrize("terms", [{"segment_rows": 5}, {"segment_seconds": 0.0}], ids=["by rows", "by time"])
def test_answers_are_written_as_they_come(terms: dict[str, Any]) -> None:
    with scripted(echo) as server:
        asked = Asked(server, rows(20), **terms)
        asked.run()
    assert len(asked.tokens) >= 3  # up to four answers may come at once, and make a segment of eight
    assert len(asked.written) == 20


def test_whoever_watches_may_end_the_asking_and_what_was_answered_is_kept() -> None:
    with scripted(lambda text, before: completion("stop asking" if text == "row 02" else text)) as server:
        asked = Asked(server, rows(20), concurrency=1)
        with pytest.raises(InputRefused, match="enough"):
            asked.run()
    assert sorted(asked.written) == rows(3)


def test_an_error_of_the_writer_reaches_the_caller() -> None:
    def full(*_: object) -> None:
        raise OSError("disk full")

    with scripted(echo) as server:
        asked = Asked(server, rows(3))
        asked.interview.write = full
        with pytest.raises(OSError, match="disk full"):
            asked.run()
