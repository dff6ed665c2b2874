"""Faults as values: a whole matrix is a list, and a name is enough to run one of them again."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

AT_WRITES = (
    "kill-before", "kill-after",
    "conflict", "throttle", "error", "unavailable", "reset", "lost", "hang", "hang-after", "vanish",
    "delete-job", "delete-pod", "delete-deployment", "delete-service", "delete-autoscaler",
    "restore-job", "restore-job-status", "restore-model", "restore-model-status", "restore-all", "restore-all-status",
    "cut", "silence",
)  # fmt: skip
AT_EVENTS = (
    "drop-event", "delay-event", "duplicate-event", "reorder-event", "break-watch", "tear-event", "gone", "deaf-watch",
)  # fmt: skip
AT_READS = ("read-error", "read-reset")
ALONGSIDE = ("two-operators", "two-operators-and-kill")  # without a Lease
WITH_LEASE = (
    "leader-kill-before", "leader-kill-after", "leader-late", "leader-term",
    "leader-freeze", "leader-cut", "leader-silence", "lease-error", "lease-lost", "lease-deleted",
)  # fmt: skip
# Writes after which there is such a child to delete; Jobs and pods are there from the first ones on.
FIRST_POINT = {"delete-deployment": 30, "delete-service": 30, "delete-autoscaler": 30}
KINDS = AT_WRITES + AT_EVENTS + AT_READS + ALONGSIDE + WITH_LEASE


@dataclass(frozen=True)
class Fault:
    """`kind` happens at the `point`th write, event or read of a run; `seed` decides lengths and delays."""

    kind: str
    point: int
    seed: int = 0

    def __str__(self) -> str:
        return f"{self.kind}@{self.point}.{self.seed}"

    @property
    def random(self) -> random.Random:
        """A source of its own, the same for the same fault."""
        return random.Random(str(self))

    @classmethod
    def parse(cls, text: str) -> "Fault":
        """What `str` wrote. ValueError for anything else."""
        kind, _, rest = text.partition("@")
        point, _, seed = rest.partition(".")
        if kind not in KINDS:
            raise ValueError(f"no fault is called {kind!r}; there are {', '.join(KINDS)}")
        return cls(kind, int(point), int(seed or 0))


UNDISTURBED = Fault("none", 0)


@dataclass(frozen=True)
class Length:
    """How many writes, events and reads an undisturbed run has: the points at which something can happen."""

    writes: int
    events: int
    reads: int

    def of(self, kind: str) -> int:
        """Points of a kind of fault."""
        if kind in AT_EVENTS:
            return self.events
        return self.reads if kind in AT_READS else self.writes


def matrix(length: Length, seeds: int = 1) -> list[Fault]:
    """Every kind at every point; the kinds take turns, so that a part of the list is a fair sample."""
    turns = [every(kind, length.of(kind), seeds) for kind in KINDS]
    return list(interleaved(turns))


def every(kind: str, points: int, seeds: int) -> list[Fault]:
    """The kind at every point, in an order that a seed of the kind's own decides."""
    faults = [Fault(kind, point, seed) for seed in range(seeds) for point in range(1, points + 1)]
    random.Random(kind).shuffle(faults)
    return faults


def interleaved(lists: Sequence[Sequence[Fault]]) -> Iterator[Fault]:
    """One of each in turn, until all are used up."""
    for turn in range(max(map(len, lists))):
        yield from (faults[turn] for faults in lists if turn < len(faults))


def sample(length: Length, seed: int, kinds: Sequence[str] = KINDS) -> list[Fault]:
    """One fault of each kind, at points that the seed decides and at which it can happen, as far as that is known."""
    choose: Callable[[int, int], int] = random.Random(seed).randint
    return [Fault(kind, choose(FIRST_POINT.get(kind, 1), length.of(kind)), seed) for kind in kinds]
