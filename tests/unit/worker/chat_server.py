"""A server that answers chat completions by a script: for the faults that no real server gives on demand."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from local_http import serving

HANG = 30.0  # seconds; far longer than any test waits


@dataclass(frozen=True)
class Reply:
    """One response. `hang`: none comes until the server stops; `cut`: the connection ends in the middle."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    hang: bool = False
    cut: bool = False


def completion(
    text: str, tokens: int | None = 10, top: list[list[tuple[str, float]]] | None = None, finish: str = "stop"
) -> Reply:
    """A chat completion in OpenAI's form. top: tokens and log-probabilities at each position."""
    choice: dict[str, Any] = {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": text}}
    if top is not None:
        choice["logprobs"] = {
            "content": [
                {"token": given[0][0], "logprob": given[0][1], "top_logprobs": [entry(*pair) for pair in given]}
                for given in top
            ]
        }
    body = {"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]}
    return Reply(body=body if tokens is None else body | {"usage": {"total_tokens": tokens}})


def entry(token: str, logprob: float) -> dict[str, Any]:
    """One of the top log-probabilities."""
    return {"token": token, "logprob": logprob, "bytes": list(token.encode())}


def refusal(status: int, message: str, code: str = "", **headers: str) -> Reply:
    """An error in OpenAI's form; header names with _ for -."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, {"error": {"message": message, "code": code}}, given)


Script = Callable[[str, int], Reply]  # the user's last words, and how many requests came before with the same


@dataclass
class ChatServer:
    """What was asked, and how many requests were under way at once."""

    url: str
    asked: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    most_at_once: int = 0

    @property
    def texts(self) -> list[str]:
        """The user's last words of each request."""
        return [body["messages"][-1]["content"] for body in self.asked]


@contextmanager
def scripted(script: Script) -> Iterator[ChatServer]:
    """A server on a free port that answers by the script."""
    lock, over = threading.Lock(), threading.Event()
    state = ChatServer("")
    running = 0

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            nonlocal running
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                running += 1
                state.most_at_once = max(state.most_at_once, running)
                text = body["messages"][-1]["content"]
                before = state.texts.count(text)
                state.asked.append(body)
                state.keys.append(self.headers.get("Authorization", ""))
            reply = script(text, before)
            if reply.hang:
                over.wait(HANG)
            with lock:
                running -= 1
            self.answer(reply)

        def answer(self, reply: Reply) -> None:
            data = reply.body.encode() if isinstance(reply.body, str) else json.dumps(reply.body).encode()
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data) + (100 if reply.cut else 0)))
            self.end_headers()
            self.wfile.write(data)
            self.close_connection = reply.cut

        def log_message(self, format: str, *args: object) -> None:
            """Tests read the state."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that has gone is what a timeout looks like from here."""

    with serving(Handler, Server) as port:
        state.url = f"http://127.0.0.1:{port}/v1"
        try:
            yield state
        finally:
            over.set()
