"""An OpenAI-compatible server: one chat completion asked, and what came back read or named as a fault.

Field names: the chat completions API (POST {url}/chat/completions), as vLLM, llama.cpp and hosted models speak it.
"""

import asyncio
import os
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import httpx
from distillery_api.chat_server import API_KEY, ChatServer

from ..errors import InputRefused

QUOTED = 300  # characters of the server's words in a message
USER_AGENT = "distillery"


class Message(NamedTuple):
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True)
class Question:
    """What is asked. top_logprobs: how many log-probabilities are wanted at each token of the answer.

    temperature: 0 asks for the most likely answer; seed: of the draws, for servers that heed it
    """

    messages: tuple[Message, ...]
    max_tokens: int
    top_logprobs: int = 0
    temperature: float = 0
    seed: int | None = None

    def body(self, model: str) -> dict[str, Any]:
        """The request's JSON."""
        body: dict[str, Any] = {
            "model": model,
            "messages": [message._asdict() for message in self.messages],
            "max_tokens": self.max_tokens,
            "temperature": self.temperature,
        }
        if self.seed is not None:
            body["seed"] = self.seed
        return body | ({"logprobs": True, "top_logprobs": self.top_logprobs} if self.top_logprobs else {})

    @property
    def token_bound(self) -> int:
        """Tokens that it costs at most: a token has a byte or more, and a chat template adds some to each message."""
        return self.max_tokens + sum(len(message.content.encode()) + 32 for message in self.messages)


@dataclass(frozen=True)
class Answer:
    """An answer and its cost.

    top: for each token of the answer, texts and log-probabilities (nats) of the likeliest tokens; none if not given.
    tokens: prompt and answer together, as the server counts them; None if it does not.
    """

    text: str
    complete: bool  # it ended by itself, not at max_tokens
    top: tuple[tuple[tuple[str, float], ...], ...] = ()
    tokens: int | None = None
    headers: httpx.Headers = field(default_factory=httpx.Headers)


class Fault(Exception):  # noqa: N818 - the server's, and another try may mend it
    """No usable response. limited: the server asked for fewer requests."""

    def __init__(self, message: str, headers: httpx.Headers | None = None, limited: bool = False) -> None:
        super().__init__(message)
        self.headers = headers or httpx.Headers()
        self.limited = limited


class QuestionRefused(Exception):  # noqa: N818 - a finding about one row
    """The server does not answer this question: too long, or against its rules."""


class ChatEndpoint:
    """A server at a base url such as https://host/v1. `who`: field and name of who is asked there, for messages.

    `timeout` is in seconds, for a whole answer. The key goes into the Authorization header and nowhere else:
    redirects are not followed, and messages have it blotted out.
    """

    def __init__(self, who: str, url: str, model: str, key: str | None, timeout: float) -> None:
        self.who, self.url, self.model = who, url.rstrip("/"), model
        self._key = key
        headers = {"User-Agent": USER_AGENT} | ({"Authorization": f"Bearer {key}"} if key else {})
        self._timeout = timeout
        # No limit on connections: whoever asks bounds how many questions are under way. These timeouts bound each
        # read; the whole answer is bounded where it is asked for.
        self._client = httpx.AsyncClient(headers=headers, timeout=timeout, limits=httpx.Limits(max_connections=None))

    async def __aenter__(self) -> "ChatEndpoint":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def ask(self, question: Question) -> Answer:
        """Raises Fault, QuestionRefused, or InputRefused (AccessDenied, EndpointRefused)."""
        try:
            async with asyncio.timeout(self._timeout):
                response = await self._client.post(f"{self.url}/chat/completions", json=question.body(self.model))
        except TimeoutError as error:
            raise Fault(f"no answer within {self._timeout:g} seconds") from error
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise Fault(f"{type(error).__name__}: {self._quote(str(error))}") from error
        if response.is_success:
            return read_answer(response)
        raise self._trouble(response)

    def _trouble(self, response: httpx.Response) -> Exception:
        code, words = error_of(response)
        said = f"{response.status_code}: {self._quote(words)}"
        match response.status_code:
            case 401 | 403:
                return self._refused("AccessDenied", said, "correct the key in endpoint.secretRef, or its rights")
            case 429 if code == "insufficient_quota":
                return self._refused("EndpointRefused", said, "the account has no credit left: add some")
            case 429:
                return Fault(said, response.headers, limited=True)
            case 400 | 413 | 422:
                return QuestionRefused(said)
            case 408 | 409 | 425 | 500 | 502 | 503 | 504 | 529:
                return Fault(said, response.headers)
            case _:
                return self._refused("EndpointRefused", said, "correct endpoint.url and endpoint.model")

    def _refused(self, reason: str, said: str, fix: str) -> InputRefused:
        return InputRefused(reason, f"{self.who} at {self.url} refuses model '{self.model}': {said}; {fix}")

    def _quote(self, words: str) -> str:
        blotted = words.replace(self._key, "***") if self._key else words
        return " ".join(blotted.split())[:QUOTED]


def connect(who: str, spec: ChatServer, variable: str) -> ChatEndpoint:
    """The server, with the key in that environment variable. Raises InputRefused (AccessDenied) where one is lacking.

    who: as for ChatEndpoint
    """
    key = os.environ.get(variable)
    if spec.secret_ref and not key:
        raise InputRefused(
            "AccessDenied",
            f"{who} has no key ({variable} is not set): put one under the name {API_KEY}"
            f" into the Secret '{spec.secret_ref.name}' of endpoint.secretRef",
        )
    return ChatEndpoint(who, spec.url, spec.model, key, spec.timeout_seconds)


def error_of(response: httpx.Response) -> tuple[str, str]:
    """Code and words of an error response; whatever is no JSON error is quoted as it stands."""
    try:
        error = response.json()["error"]
        return str(error.get("code", "")), str(error["message"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return "", response.text


def read_answer(response: httpx.Response) -> Answer:
    """The first choice of a chat completion. Raises Fault for anything else."""
    try:
        body = response.json()
        choice = body["choices"][0]
        text = choice["message"]["content"]
        positions = (choice.get("logprobs") or {}).get("content") or []
        return Answer(
            text=text if isinstance(text, str) else "",
            complete=choice.get("finish_reason") == "stop",
            top=tuple(
                tuple((str(token["token"]), float(token["logprob"])) for token in position["top_logprobs"])
                for position in positions
            ),
            tokens=tokens_of(body),
            headers=response.headers,
        )
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise Fault(f"no chat completion: {type(error).__name__}: {error}: {response.text[:QUOTED]}") from error


def tokens_of(body: dict[str, Any]) -> int | None:
    """usage.total_tokens, or None where the server counts none."""
    usage = body.get("usage") or {}
    total = usage.get("total_tokens")
    return int(total) if total is not None else None
