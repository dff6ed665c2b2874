"""What a pass decides: actions in order, then one status, events, and new Jobs. Plain values, no I/O."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .names import Kind
from .store import Object


@dataclass(frozen=True)
class Create:
    """Create once. `repeats`: an earlier attempt's child may still be there, so children are read live before."""

    kind: Kind
    body: Object
    repeats: bool = False


@dataclass(frozen=True)
class Apply:
    """Server-side apply of the fields in the body."""

    kind: Kind
    body: Object


@dataclass(frozen=True)
class Merge:
    """Merge patch of an object that may have changed meanwhile."""

    kind: Kind
    namespace: str
    name: str
    body: Object
    subresource: str | None = None


@dataclass(frozen=True)
class Delete:
    """Delete that very object. `foreground`: it stays, marked, until its children are gone."""

    kind: Kind
    namespace: str
    name: str
    uid: str
    foreground: bool = False


Action = Create | Apply | Merge | Delete


@dataclass(frozen=True)
class Note:
    """An Event on the parent; the same note is posted once."""

    type: str  # Normal | Warning
    reason: str
    message: str


@dataclass(frozen=True)
class Plan:
    """The outcome of planning. `status` is the whole status the object should have.

    `jobs` are created once that status is stored, which tells of them: nobody pays for a GPU on an outdated belief.
    """

    status: dict[str, Any]
    actions: tuple[Action, ...] = ()
    notes: tuple[Note, ...] = ()
    jobs: tuple[Create, ...] = ()
    requeue_after: float | None = None  # seconds


@dataclass(frozen=True)
class Draft:
    """Collects a plan while it is being made."""

    actions: list[Action] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    jobs: list[Create] = field(default_factory=list)


def seconds_between(then: str | None, now: str) -> float:
    """Seconds between two RFC 3339 times; a missing one is long ago."""
    if then is None:
        return float("inf")
    return (dt.datetime.fromisoformat(now) - dt.datetime.fromisoformat(then)).total_seconds()


def covers(observed: Any, desired: Any) -> bool:
    """Whether everything desired stands in what is observed; fields that others own do not matter."""
    if isinstance(desired, Mapping):
        return isinstance(observed, Mapping) and all(
            key in observed and covers(observed[key], value) for key, value in desired.items()
        )
    if isinstance(desired, list):
        return (
            isinstance(observed, list)
            and len(observed) == len(desired)
            and all(covers(have, want) for have, want in zip(observed, desired, strict=True))
        )
    return bool(observed == desired)
