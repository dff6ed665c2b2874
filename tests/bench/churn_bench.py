"""`make bench-churn`: the operator's memory while jobs come and go. The last line is one JSON object.

In each of `cycles`, that many DistillationJobs are created, each gets its first Job and a pod, and all are deleted
again, children included: by the bench, since the garbage collector deletes 20 objects a second. `rss_mib` is read when
the operator is idle after that; `growth` is the last cycle's by the first's, less 1.
"""

import argparse
import asyncio
import json

from connection import Connection
from distillery_operator.names import BATCH_JOB, JOB, POD
from measures import rss_mib
from operator_bench import NAMESPACE, Bench, bench, create_jobs, steady, tell, until
from runner import Runner

CYCLES = 3


async def cycle(on: Bench, number: int, size: int) -> float:
    """Create and delete; the operator's resident memory then, in MiB."""
    await create_jobs(on.api, [f"job-{number}-{i:05d}" for i in range(size)])
    await until("every job has its first child", lambda: on.observer.reached(children=(number + 1) * size))
    for kind in (JOB, BATCH_JOB, POD):
        await delete_all(on.api, kind.path(NAMESPACE))
    await steady(on)
    held = rss_mib(on.pids["operator"])
    tell(f"cycle {number + 1}: {held} MiB")
    return held


async def delete_all(api: Connection, path: str) -> None:
    """Delete every object there, and wait until none is left."""
    options = {"propagationPolicy": "Background", "gracePeriodSeconds": 0}
    await api.send("DELETE", path, options)
    while await api.list(path):
        await asyncio.sleep(0.5)
        await api.send("DELETE", path, options)  # what came meanwhile


async def churn(size: int) -> dict[str, object]:
    """All cycles."""
    async with bench() as on:
        runner = Runner(on.plane.kubeconfig)
        held = [await cycle(on, number, size) for number in range(CYCLES)]
        runner.stop()
    return {"jobs": size, "cycles": CYCLES, "rss_mib": held, "growth": round(held[-1] / held[0] - 1, 3)}


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description="The operator's memory while jobs come and go.")
    parser.add_argument("--jobs", type=int, default=5000, help="DistillationJobs of a cycle")
    print(json.dumps(asyncio.run(churn(parser.parse_args().jobs))))


if __name__ == "__main__":
    main()
