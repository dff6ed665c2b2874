"""Events have a reason of the closed list, and the same event is posted once."""

from distillery_operator.cluster import ApiError
from distillery_operator.plans import Note
from distillery_operator.recorder import Recorder, event
from job_world import JobWorld

PARENT = JobWorld().job
NOW = "2026-01-01T00:00:00Z"


class Server:
    """Stores events by name, as the API server does."""

    def __init__(self) -> None:
        self.calls = 0
        self.refuses: ApiError | None = None
        self.held: dict[str, dict[str, object]] = {}

    async def create(self, _: object, body: dict[str, dict[str, str]]) -> None:
        self.calls += 1
        if self.refuses:
            raise self.refuses
        if body["metadata"]["name"] in self.held:
            raise ApiError(409, "AlreadyExists", "")
        self.held[body["metadata"]["name"]] = body


async def test_the_same_event_is_posted_once_and_stored_once_after_a_restart():
    server, note = Server(), Note("Warning", "MissingColumn", "no column text")
    before = Recorder(server)
    for _ in range(3):
        await before.post(PARENT, note, NOW)
    assert (server.calls, len(server.held)) == (1, 1)
    await Recorder(server).post(PARENT, note, NOW)
    assert len(server.held) == 1


async def test_an_event_that_is_not_taken_stops_nothing_and_is_posted_the_next_time(caplog):
    server, note = Server(), Note("Warning", "MissingColumn", "no column text")
    server.refuses = ApiError(500, "InternalError", "etcd is away")
    recorder = Recorder(server)
    await recorder.post(PARENT, note, NOW)
    assert "etcd is away" in caplog.text
    server.refuses = None
    await recorder.post(PARENT, note, NOW)
    assert len(server.held) == 1


async def test_another_message_is_another_event():
    server = Server()
    recorder = Recorder(server)
    for message in ("attempt 2 starts", "attempt 3 starts"):
        await recorder.post(PARENT, Note("Warning", "StageRepeated", message), NOW)
    assert len(server.held) == 2


def test_a_foreign_reason_moves_into_the_message():
    body = event(PARENT, Note("Warning", "MyOwnWord", "boom"), "name", NOW)
    assert (body["reason"], body["message"]) == ("StageFailed", "MyOwnWord: boom")


def test_a_listed_reason_stays():
    body = event(PARENT, Note("Warning", "MissingColumn", "no column text"), "name", NOW)
    assert (body["reason"], body["message"]) == ("MissingColumn", "no column text")
