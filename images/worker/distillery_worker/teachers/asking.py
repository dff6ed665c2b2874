"""Many questions to one endpoint: a few at a time, within a budget, and every answer kept that is paid for."""

import asyncio
import random
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Generic, TypeVar

from ..errors import EndpointUnavailable, InputRefused, Interrupted
from .chat_endpoint import Answer, ChatEndpoint, Fault, Question
from .pacing import Patience, Pause, exhausted_for, retry_after

POLL = 0.2  # seconds between looks at the stop event
GRACE = 20.0  # seconds for questions under way when the asking ends early: they are paid for

Row = TypeVar("Row")
Result = TypeVar("Result")
Ask = Callable[[Question], Awaitable[Answer]]
Interpret = Callable[[Ask, Row], Awaitable[Result]]


@dataclass(frozen=True)
class Terms:
    """How to ask. Results are written in segments of so many rows, or after so many seconds if answers come slowly."""

    concurrency: int = 8
    token_budget: int | None = None
    segment_rows: int = 256
    segment_seconds: float = 30.0
    patience: Patience = field(default_factory=Patience)


class BudgetUsedUp(Exception):  # noqa: N818 - no error: it ends the asking
    """The next question might cost more than is left."""


@dataclass
class TokenBudget:
    """Tokens that may be spent. What is under way counts with its upper bound, so the limit holds."""

    limit: int | None
    spent: int = 0
    reserved: int = 0
    settled: asyncio.Event = field(default_factory=asyncio.Event)

    async def reserve(self, bound: int) -> None:
        """Take `bound` tokens, once questions under way have left enough. Raises BudgetUsedUp."""
        while self.limit is not None and self.spent + self.reserved + bound > self.limit:
            if not self.reserved:
                raise BudgetUsedUp
            self.settled.clear()
            await self.settled.wait()
        self.reserved += bound

    def settle(self, bound: int, used: int) -> None:
        """Give `bound` back and count what was used."""
        self.reserved -= bound
        self.spent += used
        self.settled.set()


@dataclass
class Asker:
    """Asks a question for each caller; waits and tries again where the server is at fault."""

    endpoint: ChatEndpoint
    patience: Patience
    budget: TokenBudget
    pause: Pause = field(default_factory=Pause)
    # Waits differ between runs on purpose; no answer depends on them.
    jitter: random.Random = field(default_factory=random.Random)

    async def __call__(self, question: Question) -> Answer:
        """Raises QuestionRefused, BudgetUsedUp, InputRefused, or EndpointUnavailable when patience ends."""
        bound, used = question.token_bound, 0
        await self.budget.reserve(bound)
        try:
            answer = await self._persist(question)
            used = self._cost(answer)
        finally:
            self.budget.settle(bound, used)
        self.pause.hold(exhausted_for(answer.headers, used))
        return answer

    async def _persist(self, question: Question) -> Answer:
        began, tries, faults = time.monotonic(), 0, 0
        while True:
            await self.pause.over()
            try:
                return await self.endpoint.ask(question)
            except Fault as fault:
                tries, faults = tries + 1, faults + (not fault.limited)
                wait = self._wait(fault, tries)
                if faults >= self.patience.faults or time.monotonic() - began + wait > self.patience.seconds:
                    raise self._given_up(fault) from fault
                limited = fault.limited
            if limited:  # it concerns all questions; a fault perhaps only this one
                self.pause.hold(wait)
            else:
                await asyncio.sleep(wait)

    def _wait(self, fault: Fault, tries: int) -> float:
        asked = retry_after(fault.headers, datetime.now(UTC))
        own = self.patience.wait(tries, self.jitter)
        return own if asked is None else asked + own / 10

    def _given_up(self, fault: Fault) -> EndpointUnavailable:
        return EndpointUnavailable(
            f"{self.endpoint.who} at {self.endpoint.url} does not answer: {fault};"
            " what it answered is kept, and another try asks for the rest"
        )

    def _cost(self, answer: Answer) -> int:
        if answer.tokens is None and self.budget.limit is not None:
            raise InputRefused(
                "EndpointRefused",
                f"{self.endpoint.who} at {self.endpoint.url} does not count tokens (no `usage` in its"
                " answer), so a budget cannot be kept; remove endpoint.tokenBudget, or use a server that counts",
            )
        return answer.tokens or 0


@dataclass
class Interview(Generic[Row, Result]):
    """Rows by key, how one is asked, and where results go: `write(keys, results, tokens spent on them)`.

    `watch` sees results as they come, before they are written, and may raise to end the asking.
    """

    rows: Mapping[str, Row]
    interpret: Interpret[Row, Result]
    write: Callable[[list[str], list[Result], int], None]
    watch: Callable[[list[Result]], None]
    terms: Terms
    stop: threading.Event
    done: list[tuple[str, Result]] = field(default_factory=list)
    accounted: int = 0  # tokens that written segments tell of
    written_at: float = field(default_factory=time.monotonic)

    def run(self, endpoint: ChatEndpoint) -> int:
        """Ask for every row and give the tokens spent.

        Raises what Asker raises, and Interrupted after a stop; in each case what was answered has been written.
        """
        return asyncio.run(self._run(endpoint))

    async def _run(self, endpoint: ChatEndpoint) -> int:
        async with endpoint:
            asker = Asker(endpoint, self.terms.patience, TokenBudget(self.terms.token_budget))
            try:
                await self._ask_all(asker)
            except BudgetUsedUp:
                raise self._budget_used_up(asker) from None
            finally:
                await self._flush(asker.budget)
        if self.stop.is_set():
            raise Interrupted("answers are stored")
        return asker.budget.spent

    async def _ask_all(self, asker: Asker) -> None:
        waiting = iter(self.rows.items())
        running: dict[asyncio.Task[Result], str] = {}
        try:
            while not self.stop.is_set():
                while len(running) < self.terms.concurrency and (item := next(waiting, None)):
                    running[asyncio.ensure_future(self.interpret(asker, item[1]))] = item[0]
                if not running:
                    return
                ended, _ = await asyncio.wait(running, timeout=POLL, return_when=asyncio.FIRST_COMPLETED)
                self._collect(running, ended)
                if self._due():
                    await self._flush(asker.budget)
        finally:
            await self._wind_up(running)

    def _collect(self, running: dict[asyncio.Task[Result], str], ended: set[asyncio.Task[Result]]) -> None:
        """Keep every result before the first error is raised."""
        failed = [task for task in ended if task.exception()]
        fresh = [(running[task], task.result()) for task in ended if task not in failed]
        self.done += fresh
        for task in ended:
            del running[task]
        if failed:
            raise failed[0].exception() or RuntimeError
        self.watch([result for _, result in fresh])

    async def _wind_up(self, running: dict[asyncio.Task[Result], str]) -> None:
        if not running:
            return
        ended, late = await asyncio.wait(running, timeout=GRACE)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        self.done += [(running[task], task.result()) for task in ended if not task.exception()]

    def _budget_used_up(self, asker: Asker) -> InputRefused:
        budget, who = asker.budget, asker.endpoint.who
        return InputRefused(
            "TokensUsedUp",
            f"{who} has used {budget.spent} tokens, and the next row might exceed the {budget.limit} that"
            " endpoint.tokenBudget leaves; what is answered is stored: a job with a larger budget asks for the rest",
        )

    def _due(self) -> bool:
        slow = bool(self.done) and time.monotonic() - self.written_at > self.terms.segment_seconds
        return slow or len(self.done) >= self.terms.segment_rows

    async def _flush(self, budget: TokenBudget) -> None:
        """Write in a thread: storage may take seconds, in which answers arrive and timeouts run."""
        if self.done:
            keys, results = [key for key, _ in self.done], [result for _, result in self.done]
            tokens = budget.spent - self.accounted
            await asyncio.to_thread(self.write, keys, results, tokens)
            self.accounted += tokens
            self.done = []
        self.written_at = time.monotonic()
