"""What is read off processes and metrics, and the arithmetic on it. Times are CLOCK_MONOTONIC, shared by processes."""

import math
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")
READS = ("GET", "LIST", "WATCH", "WATCHLIST")
Counts = dict[str, int]


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least that share of all values does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def latencies_ms(starts: Mapping[str, float], ends: Mapping[str, float]) -> list[float]:
    """Milliseconds from start to end, by key; KeyError where an end is missing."""
    return [(ends[key] - start) * 1000 for key, start in starts.items()]


def rate(count: int, first: float, last: float) -> float:
    """Things per second."""
    return round(count / (last - first), 1)


def requests(metrics: str) -> Counts:
    """Requests that an API server has answered with success, by `VERB resource/subresource`."""
    counts: Counts = {}
    for labels, value in re.findall(r"^apiserver_request_total\{(.*)\} (\S+)$", metrics, re.M):
        label = dict(re.findall(r'(\w+)="([^"]*)"', labels))
        if label["code"].startswith("2"):
            what = "/".join(filter(None, (label["resource"], label["subresource"])))
            key = f"{label['verb']} {what}"
            counts[key] = counts.get(key, 0) + int(float(value))
    return counts


def growth(before: Counts, after: Counts) -> Counts:
    """What was added between two readings."""
    return {key: count - before.get(key, 0) for key, count in sorted(after.items()) if count != before.get(key, 0)}


def writes(counts: Counts, resources: Sequence[str]) -> int:
    """Writes to these resources, given as `resource/subresource`."""
    return sum(
        count
        for key, count in counts.items()
        if (parts := key.split())[0] not in READS and parts[1:] in ([r] for r in resources)
    )


def sample(metrics: str, name: str) -> float:
    """Sum of all series of a metric of the operator's."""
    return sum(float(value) for value in re.findall(rf"^{name}(?:\{{.*\}})? (\S+)$", metrics, re.M))


def cpu_seconds(pid: int) -> float:
    """CPU time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def rss_mib(pid: int) -> float:
    """Resident memory of a process."""
    found = re.search(r"^VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.M)
    return round(int(found[1]) / 1024, 1) if found else 0.0
