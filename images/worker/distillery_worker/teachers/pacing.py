"""How long to wait: what a server asks for in its headers, and growing waits with jitter where it asks for nothing."""

import asyncio
import random
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime

UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


@dataclass(frozen=True)
class Patience:
    """When to give a question up. Times are in seconds."""

    faults: int = 8  # of one question; being limited is none
    seconds: float = 600.0  # since the question's first fault or limit
    first_wait: float = 0.5
    longest_wait: float = 60.0

    def wait(self, tries: int, generator: random.Random) -> float:
        """Full jitter: a random time up to first_wait * 2^tries, so that clients that failed together come back apart.

        Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
        """
        return generator.uniform(0, min(self.longest_wait, self.first_wait * 2.0 ** min(tries, 32)))


@dataclass
class Pause:
    """One pause for all questions: what limits one request limits the next."""

    until: float = field(default=0.0)  # on the monotonic clock

    def hold(self, seconds: float) -> None:
        """Nobody asks for so long; a longer pause that stands already is kept."""
        self.until = max(self.until, time.monotonic() + seconds)

    async def over(self) -> None:
        """Return when the pause is over, also one that grows meanwhile."""
        while (seconds := self.until - time.monotonic()) > 0:  # noqa: ASYNC110 - a time, not an event
            await asyncio.sleep(seconds)


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds that `Retry-After` (RFC 9110, seconds or a date) or `retry-after-ms` asks for; None without either."""
    if (milliseconds := number(headers.get("retry-after-ms"))) is not None:
        return milliseconds / 1000
    value = headers.get("retry-after", "")
    if (seconds := number(value)) is not None:
        return seconds
    try:
        return max(0.0, (parsedate_to_datetime(value) - now).total_seconds())
    except (ValueError, TypeError):
        return None


def exhausted_for(headers: Mapping[str, str], tokens: int) -> float:
    """Seconds until `x-ratelimit-*` headers allow another request of so many tokens; 0 where they allow it now."""
    return max(
        reset(headers, "requests") if left(headers, "requests", 1) < 1 else 0.0,
        reset(headers, "tokens") if left(headers, "tokens", tokens) < tokens else 0.0,
    )


def left(headers: Mapping[str, str], what: str, unknown: int) -> float:
    """What remains in the running window; `unknown` where the header is missing or no number."""
    value = number(headers.get(f"x-ratelimit-remaining-{what}"))
    return unknown if value is None else value


def reset(headers: Mapping[str, str], what: str) -> float:
    """Seconds until the window ends, from forms such as `6m0s`, `1.5s`, `20ms` or plain seconds."""
    value = headers.get(f"x-ratelimit-reset-{what}", "")
    if (seconds := number(value)) is not None:
        return seconds
    return sum(float(count) * UNITS[unit] for count, unit in re.findall(r"(\d+(?:\.\d+)?)(ms|[smhd])", value))


def number(value: str | None) -> float | None:
    """A number at or above 0, or None."""
    return float(value) if value and re.fullmatch(r"\d+(\.\d+)?", value.strip()) else None
