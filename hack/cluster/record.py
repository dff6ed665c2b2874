"""The record of what was started: written after every start, so that a crash in between loses nothing."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from certificates import write_private
from processes import Identity


@dataclass
class Record:
    """The processes of one start, by component, in start order; `version` names programs and code."""

    path: Path
    version: str
    processes: dict[str, Identity] = field(default_factory=dict)

    def add(self, name: str, process: Identity) -> None:
        self.processes[name] = process
        self.save()

    def save(self) -> None:
        people = {name: asdict(process) for name, process in self.processes.items()}
        unfinished = self.path.with_name(self.path.name + ".unfinished")
        write_private(unfinished, json.dumps({"version": self.version, "processes": people}, indent=1))
        unfinished.rename(self.path)


def load(path: Path) -> Record | None:
    """The record at `path`; None if there is none that this code can read."""
    try:
        content = json.loads(path.read_text())
        processes = {name: Identity(**values) for name, values in content["processes"].items()}
        return Record(path, content["version"], processes)
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        return None  # written by other code; what it started is found by namespace and cgroup
