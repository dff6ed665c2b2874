"""How many CPUs this container may use; the host's count says nothing about that."""

import math
import os
from pathlib import Path

MAX_WITHOUT_QUOTA = 4  # without a CPU limit: enough for one small student, and no thread per core of a big node


def cpu_count(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """Whole CPUs of the cgroup's quota, rounded up; without a quota those of the affinity mask, at most 4."""
    allowed = len(os.sched_getaffinity(0))
    quota = _quota(cgroup)
    if quota is None:
        return min(allowed, MAX_WITHOUT_QUOTA)
    return max(1, min(allowed, math.ceil(quota)))


def _quota(cgroup: Path) -> float | None:
    v2 = cgroup / "cpu.max"  # "<quota or max> <period>" in microseconds
    if v2.is_file():
        quota, period = v2.read_text().split()
        return None if quota == "max" else int(quota) / int(period)
    v1 = cgroup / "cpu" / "cpu.cfs_quota_us"
    if v1.is_file() and (microseconds := int(v1.read_text())) > 0:
        return microseconds / int((cgroup / "cpu" / "cpu.cfs_period_us").read_text())
    return None
