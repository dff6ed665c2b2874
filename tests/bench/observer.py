"""The bench's own watch, in a process of its own: when children appeared and when parents' status said so."""

import asyncio
import multiprocessing
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any

from connection import connect

Event = dict[str, Any]


@dataclass
class Sightings:
    """First sight of each thing, by key; monotonic seconds."""

    children: dict[str, float] = field(default_factory=dict)  # by Job (child) name
    ended: dict[str, float] = field(default_factory=dict)  # a stage's end in the parent's status, by `parent/stage`
    finished: dict[str, float] = field(default_factory=dict)  # by parent


Note = Callable[[Sightings, float, Event], None]


def note_job(seen: Sightings, at: float, event: Event) -> None:
    """A stage's Job."""
    if event["type"] == "ADDED":
        seen.children.setdefault(event["object"]["metadata"]["name"], at)


def note_distillation_job(seen: Sightings, at: float, event: Event) -> None:
    """What the status of a DistillationJob says for the first time."""
    name, status = event["object"]["metadata"]["name"], event["object"].get("status", {})
    for stage in status.get("stages", ()):
        if stage["state"] == "Done":
            seen.ended.setdefault(f"{name}/{stage['name']}", at)
    if "finishedAt" in status:
        seen.finished.setdefault(name, at)


class Observer:
    """Watches paths from `start` on; `sightings` asks for what was seen so far."""

    def __init__(self, kubeconfig: Path, watches: dict[str, Note]) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=observe, args=(theirs, kubeconfig, watches), daemon=True)
        self._process.start()
        theirs.close()  # so that `recv` ends where the process did
        self._pipe.recv()  # all watches stand

    def sightings(self) -> Sightings:
        """Everything seen so far."""
        self._pipe.send("sightings")
        seen: Sightings = self._pipe.recv()
        return seen

    def reached(self, children: int = 0, ended: int = 0, finished: int = 0) -> bool:
        """Whether so many of each were seen."""
        self._pipe.send("counts")
        counts: tuple[int, int, int] = self._pipe.recv()
        return all(count >= wanted for count, wanted in zip(counts, (children, ended, finished), strict=True))

    def stop(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.join()


def observe(pipe: Pipe, kubeconfig: Path, watches: dict[str, Note]) -> None:
    """The process: runs until it is killed."""
    asyncio.run(observing(pipe, kubeconfig, watches))


async def observing(pipe: Pipe, kubeconfig: Path, watches: dict[str, Note]) -> None:
    seen, standing = Sightings(), asyncio.Barrier(len(watches) + 1)

    async def follow(path: str, note: Note) -> None:
        async for at, event in api.watch(path):
            if event:
                note(seen, at, event)
            else:
                await standing.wait()

    async def answer() -> None:
        await standing.wait()
        pipe.send("standing")
        while True:
            if await asyncio.to_thread(pipe.recv) == "counts":
                pipe.send((len(seen.children), len(seen.ended), len(seen.finished)))
            else:
                pipe.send(seen)

    async with connect(kubeconfig) as api:
        await asyncio.gather(answer(), *(follow(path, note) for path, note in watches.items()))
