"""What a stage is given besides its run: a folder to work in, threads, progress, and word of a stop."""

import math
import os
import threading
from dataclasses import dataclass, field
from pathlib import Path

from .errors import Interrupted
from .progress import Progress

CPU_MAX = Path("/sys/fs/cgroup/cpu.max")


@dataclass(frozen=True)
class Context:
    """The surroundings of one stage."""

    workdir: Path
    threads: int = 1
    shard: int = 0
    progress: Progress = field(default_factory=Progress)
    stop: threading.Event = field(default_factory=threading.Event)

    def folder(self, name: str) -> Path:
        """A folder of this name under the working directory."""
        path = self.workdir / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    def check_stop(self, kept: str) -> None:
        """Raise Interrupted once SIGTERM has arrived; `kept` says what survives."""
        if self.stop.is_set():
            raise Interrupted(kept)


def usable_threads(cpu_max: Path = CPU_MAX) -> int:
    """OMP_NUM_THREADS if set, else the CPUs this process may use: its affinity, cut to the container's quota."""
    if wanted := os.environ.get("OMP_NUM_THREADS"):
        return max(1, int(wanted))
    cpus = len(os.sched_getaffinity(0))
    quota, _, period = cpu_max.read_text().partition(" ") if cpu_max.exists() else ("max", "", "")
    return cpus if quota == "max" else max(1, min(cpus, math.ceil(int(quota) / int(period))))
