"""The whole matrix, or as much of it as the time allows: progress on stderr, one JSON object as the last line.

python tests/faults/soak.py --minutes 40 --output docs/soak/faults.json

Goes on where the output stopped, while the code that it is about has not changed since.
"""

import argparse
import hashlib
import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import arena as arenas
from fault import KINDS, Fault, Length, matrix
from scenario import Arena, Outcome, run

OUTAGE = 60.0  # seconds that an operator is cut off
ROOT = Path(__file__).parents[2]
CODE = ("operator/distillery_operator", "crds/distillery_api", "tests/faults", "tests/builders")


def outcomes(arena: Arena, faults: Sequence[Fault], wanted: Any, side_by_side: int, until: float) -> Iterator[Outcome]:
    """Run faults in order, some side by side, until the clock (monotonic) says so."""
    queue = iter(faults)
    with ThreadPoolExecutor(side_by_side) as pool:
        running: set[Future[Outcome]] = set()
        while True:
            while len(running) < side_by_side and time.monotonic() < until and (fault := next(queue, None)):
                running.add(pool.submit(run, arena, fault, wanted))
            if not running:
                return
            done, running = wait(running, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in done)


def code() -> str:
    """Digest of the operator and of what disturbs it."""
    digest = hashlib.sha256()
    for path in sorted(path for folder in CODE for path in (ROOT / folder).rglob("*.py")):
        digest.update(f"{path.relative_to(ROOT)}\n".encode() + path.read_bytes())
    return f"sha256:{digest.hexdigest()}"


def nothing(length: Length, planned: int) -> dict[str, Any]:
    """The result before the first run."""
    return {
        "code": code(), "points": {"writes": length.writes, "events": length.events, "reads": length.reads},
        "planned": planned, "ran": 0, "faults": 0, "violations": [], "restarts": 0, "writes": 0, "kinds": {},
        "outage_seconds": OUTAGE, "seconds": 0, "cpus": os.cpu_count(),
    }  # fmt: skip


def earlier(output: Path | None, seeds: int) -> dict[str, Any] | None:
    """What an earlier run of the same code and matrix left there."""
    if output is None or not output.exists():
        return None
    found: dict[str, Any] = json.loads(output.read_text())
    same = found.get("code") == code() and found["planned"] == len(matrix(Length(**found["points"]), seeds))
    return found if same else None


def added(found: dict[str, Any], outcome: Outcome) -> dict[str, Any]:
    """The result with one more run: counts by kind, every violation by the name of its fault."""
    word = "violations" if outcome.violations else "void" if outcome.void else "passed"
    kinds = {kind: Counter(counts) for kind, counts in found["kinds"].items()}
    kinds.setdefault(outcome.fault.kind, Counter())[word] += 1
    return found | {
        "ran": found["ran"] + 1,
        "faults": found["faults"] + (outcome.void is None),
        "violations": sorted([*found["violations"], *([str(outcome.fault)] if outcome.violations else [])]),
        "restarts": found["restarts"] + len(outcome.exits),
        "writes": found["writes"] + len(outcome.tally.writes),
        "kinds": {kind: dict(sorted(kinds[kind].items())) for kind in KINDS if kind in kinds},
    }


def main() -> int:
    """Exit 1 when anything was violated."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=240, help="start no further fault after so long")
    parser.add_argument("--side-by-side", type=int, default=16, help="runs at once")
    parser.add_argument("--seeds", type=int, default=1, help="times that each kind happens at each point")
    parser.add_argument("--output", type=Path, help="write the JSON object here, too")
    options = parser.parse_args()
    began, found = time.monotonic(), earlier(options.output, options.seeds)
    with (
        tempfile.TemporaryDirectory(prefix="distillery-faults-") as folder,
        arenas.arena(Path(folder), OUTAGE) as arena,
    ):
        undisturbed = arenas.undisturbed(arena)
        if found is None:
            length = arenas.length_of(undisturbed)
            found = nothing(length, len(matrix(length, options.seeds)))
        spent, left = found["seconds"], matrix(Length(**found["points"]), options.seeds)[found["ran"] :]
        until = began + options.minutes * 60
        for outcome in outcomes(arena, left, undisturbed.state, options.side_by_side, until):
            found = added(found, outcome) | {"seconds": spent + round(time.monotonic() - began)}
            tell(outcome, found["ran"], found["planned"])
            if options.output:  # each time: a soak takes hours, and whatever ends it early costs nothing
                options.output.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found))
    return 1 if found["violations"] else 0


def tell(outcome: Outcome, number: int, planned: int) -> None:
    """A line for each fault, and everything about a violation."""
    word = "VIOLATED" if outcome.violations else f"void: {outcome.void}" if outcome.void else "ok"
    print(f"{number}/{planned} {outcome.fault} {word}, {outcome.seconds:.0f} s", file=sys.stderr, flush=True)
    if outcome.violations:
        print(outcome.report(), file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
