"""The whole matrix, or as much of it as the time allows: progress on stderr, one JSON object as the last line.

python tests/faults/soak.py --minutes 40 --output docs/soak/faults.json
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import arena as arenas
from fault import KINDS, Fault, Length, matrix
from scenario import Arena, Outcome, run

OUTAGE = 60.0  # seconds that an operator is cut off


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


def summary(length: Length, planned: int, results: Sequence[Outcome], seconds: float) -> dict[str, Any]:
    """Counts by kind; every violation by the name of its fault."""
    kinds: dict[str, Counter[str]] = defaultdict(Counter)
    for outcome in results:
        word = "violations" if outcome.violations else "void" if outcome.void else "passed"
        kinds[outcome.fault.kind][word] += 1
    happened = [outcome for outcome in results if outcome.void is None]
    return {
        "points": {"writes": length.writes, "events": length.events, "reads": length.reads},
        "planned": planned, "ran": len(results), "faults": len(happened),
        "violations": sorted(str(outcome.fault) for outcome in results if outcome.violations),
        "restarts": sum(len(outcome.exits) for outcome in results),
        "writes": sum(len(outcome.tally.writes) for outcome in results),
        "kinds": {kind: dict(sorted(kinds[kind].items())) for kind in KINDS if kinds[kind]},
        "outage_seconds": OUTAGE, "seconds": round(seconds), "cpus": os.cpu_count(),
    }  # fmt: skip


def main() -> int:
    """Exit 1 when anything was violated."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=240, help="start no further fault after so long")
    parser.add_argument("--side-by-side", type=int, default=10, help="runs at once")
    parser.add_argument("--seeds", type=int, default=1, help="times that each kind happens at each point")
    parser.add_argument("--output", type=Path, help="write the JSON object here, too")
    options = parser.parse_args()
    began, results = time.monotonic(), []
    with (
        tempfile.TemporaryDirectory(prefix="distillery-faults-") as folder,
        arenas.arena(Path(folder), OUTAGE) as arena,
    ):
        undisturbed = arenas.undisturbed(arena)
        length = arenas.length_of(undisturbed)
        faults = matrix(length, options.seeds)
        until = began + options.minutes * 60
        for outcome in outcomes(arena, faults, undisturbed.state, options.side_by_side, until):
            results.append(outcome)
            tell(outcome, len(results), len(faults))
    found = summary(length, len(faults), results, time.monotonic() - began)
    if options.output:
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
