"""`make bench-operator`: the operator under load, on a real API server. The last line is one JSON object.

Each size has a control plane of its own: etcd, kube-apiserver, kube-controller-manager without its job controller. The
operator is a process of its own under the account of the chart, with the chart's default settings. Its jobs have four
stages: preflight, train, compress, evaluate; label is skipped, because preflight finds every row labelled. No job
promotes to a model. The runner (runner.py) makes pods and ends stages; a watch in a process of its own (observer.py)
stamps each event when it arrives. All share the machine's cores. What is measured, for each of `sizes`:

jobs                    DistillationJobs
children_per_s          burst: all jobs are created, 20 in flight, and the runner is held; their first Jobs by the
                        seconds from the answer to the first create to the sight of the last Job
transitions_per_s       then the runner is released; a transition is the end of a stage that had a Job, in the parent's
                        status (4 a job); transitions by the seconds from the release to the sight of the last one
event_to_status_*_ms    in the same phase: from the answer to the runner's write that completed a Job to the sight of
                        the parent's status that says so; nearly all of it is queueing
writes_per_transition   the operator's writes from the first create until it is idle after the last transition (Jobs,
                        statuses of DistillationJobs, Events), as the API server counted them, by transitions
restart_to_steady_s     between both phases, with a pod in every job: SIGKILL, start again, and from there to
                        the last request, pass and watch event that the operator counts, followed by 3 s without
duplicate_children      Jobs beyond one for each stage of each job
rss_mib                 resident memory of the operator at the end, with all jobs and their children stored
idle_writes_per_min     the operator's writes in the 30 s after all is done, by the minute

`unqueued`: event_to_status of 40 jobs, one at a time, 0.1 s between the end of a pod and that of its Job. `peer`: see
peer.py. CPU seconds of each process, and writes by resource, are printed before the last line.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import peer
import record
from connection import Connection, connect
from controlplane import DEFAULT_CONTROLLERS, ControlPlane
from distillery_operator.names import BATCH_JOB, JOB, POD
from measures import cpu_seconds, growth, latencies_ms, quantile, rate, requests, rss_mib, sample, writes
from observer import Observer, note_distillation_job, note_job
from operator_process import ROOT, OperatorProcess, operator_account
from runner import Runner
from stage_results import job_spec

NAMESPACE = "default"
SIZES = "100,1000,5000"
STAGES = ("preflight", "train", "compress", "evaluate")
OURS = ("jobs", "distillationjobs", "distillationjobs/status", "events")  # what the operator alone writes
CREATES_IN_FLIGHT = 20
UNQUEUED_JOBS, PAUSE = 40, 0.1
QUIET, IDLE = 3.0, 30.0  # seconds
PATIENCE = 900.0  # seconds that bound a hang


@dataclass
class Bench:
    """One control plane with an operator, and the clients of the bench."""

    plane: ControlPlane
    operator: OperatorProcess
    observer: Observer
    api: Connection

    @property
    def pids(self) -> dict[str, int]:
        """Processes to account for."""
        started = record.load(self.plane.directory / "controlplane.json")
        found = {name: process.pid for name, process in started.processes.items()} if started else {}
        return found | {"operator": self.operator.process.pid if self.operator.process else 0}

    async def counts(self) -> dict[str, int]:
        """Requests that the API server has answered so far."""
        return requests(await self.api.text("/metrics"))

    async def activity(self) -> list[float]:
        """Everything that moves while the operator does anything, as it counts it itself."""
        names = ("reconcile_total", "api_requests_total", "watch_events_total")
        async with aiohttp.ClientSession() as http:
            try:
                async with http.get(f"http://127.0.0.1:{self.operator.metrics_port}/metrics") as response:
                    text = await response.text()
            except aiohttp.ClientError:  # it has just been started
                return []
        return [sample(text, f"distillery_operator_{name}") for name in names]


@asynccontextmanager
async def bench() -> AsyncIterator[Bench]:
    """A fresh control plane and operator; both end with the block."""
    with tempfile.TemporaryDirectory(prefix="distillery-bench-") as folder:
        crds = [ROOT / f"crds/{plural}.yaml" for plural in ("distillationjobs", "distilledmodels")]
        plane = ControlPlane(Path(folder, "plane"), controllers=DEFAULT_CONTROLLERS, manifests=crds).start()
        operator = OperatorProcess(operator_account(plane, Path(folder)), Path(folder))
        operator.settings |= {"resyncSeconds": 300, "progressSeconds": 5}
        operator.start()
        observer = Observer(plane.kubeconfig, {JOB.path(): note_distillation_job, BATCH_JOB.path(): note_job})
        try:
            async with connect(plane.kubeconfig) as api:
                yield Bench(plane, operator, observer, api)
        finally:
            operator.kill()
            observer.stop()
            plane.stop()


async def until(what: str, done: Callable[[], bool]) -> None:
    """Wait; AssertionError after PATIENCE."""
    deadline = time.monotonic() + PATIENCE
    while not done():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {PATIENCE:.0f} s: {what}")
        await asyncio.sleep(0.2)


async def steady(on: Bench) -> float:
    """Wait until the operator has been idle for QUIET seconds; when that began."""
    last, since = await on.activity(), time.monotonic()
    while not last or time.monotonic() - since < QUIET:
        await asyncio.sleep(0.1)
        now = await on.activity()
        if now != last:
            last, since = now, time.monotonic()
    return since


async def create_jobs(api: Connection, names: list[str]) -> float:
    """Create them, several at once; returns when the first was answered."""
    left, answered = iter(names), list[float]()
    spec = job_spec()
    del spec["promoteTo"]

    async def some() -> None:
        for name in left:
            body = {"apiVersion": JOB.api_version, "kind": JOB.kind, "metadata": {"name": name}, "spec": spec}
            await api.send("POST", JOB.path(NAMESPACE), body)
            answered.append(time.monotonic())

    await asyncio.gather(*(some() for _ in range(CREATES_IN_FLIGHT)))
    return answered[0]


async def burst(on: Bench, names: list[str]) -> dict[str, Any]:
    """Every job's first child."""
    first = await create_jobs(on.api, names)
    await until("every job has its first child", partial(on.observer.reached, children=len(names)))
    return {"children_per_s": rate(len(names), first, max(on.observer.sightings().children.values()))}


async def restart(on: Bench, size: int) -> dict[str, Any]:
    """SIGKILL with a pod in every job, and back to idle."""
    while len(await on.api.list(POD.path(NAMESPACE))) < size:  # noqa: ASYNC110
        await asyncio.sleep(1)
    await steady(on)
    on.operator.kill()
    started = time.monotonic()
    on.operator.start()
    return {"restart_to_steady_s": round(await steady(on) - started, 1)}


async def stages(on: Bench, runner: Runner, names: list[str]) -> dict[str, Any]:
    """All stages of all jobs."""
    started = time.monotonic()
    runner.release()
    await until("every job has finished", partial(on.observer.reached, finished=len(names)))
    seen = on.observer.sightings()
    if len(seen.ended) != len(STAGES) * len(names):
        raise AssertionError(f"{len(seen.ended)} stages have ended, not {len(STAGES)} of each of {len(names)} jobs")
    return {
        "transitions_per_s": rate(len(seen.ended), started, max(seen.ended.values())),
        **percentiles("event_to_status_", latencies_ms(runner.ends(), seen.ended)),
    }


def percentiles(prefix: str, latencies: list[float]) -> dict[str, float]:
    """p50 and p99."""
    return {f"{prefix}p{share}_ms": round(quantile(latencies, share / 100), 1) for share in (50, 99)}


async def idle_writes(on: Bench) -> float:
    """Writes a minute when there is nothing to do."""
    before = await on.counts()
    await asyncio.sleep(IDLE)
    return round(writes(growth(before, await on.counts()), OURS) * 60 / IDLE, 1)


async def accounted(on: Bench, what: str, work: Awaitable[dict[str, Any]], **more: int) -> dict[str, Any]:
    """The work's result; tells CPU seconds of each process and the API server's requests meanwhile on stderr."""
    pids, calls, started = on.pids | more, await on.counts(), time.monotonic()
    used = {name: cpu_seconds(pid) for name, pid in pids.items()}
    result = await work
    spent = {name: round(cpu_seconds(pid) - used[name], 1) for name, pid in pids.items()}
    made = growth(calls, await on.counts())
    tell(f"{what}: {json.dumps(result)} in {time.monotonic() - started:.1f} s; CPU s {spent}; requests {made}")
    return result


def tell(line: str) -> None:
    """Progress, apart from the result."""
    print(line, file=sys.stderr, flush=True)


async def duplicates(on: Bench, expected: int) -> int:
    """Jobs beyond one for each stage."""
    jobs = await on.api.list(BATCH_JOB.path(NAMESPACE))
    return max(len(jobs), len(on.observer.sightings().children)) - expected


async def measure(size: int) -> dict[str, Any]:
    """One of `sizes`."""
    names = [f"job-{i:05d}" for i in range(size)]
    async with bench() as on:
        await steady(on)
        tell(f"{size} jobs: operator has {rss_mib(on.pids['operator'])} MiB")
        runner = Runner(on.plane.kubeconfig)
        before = await on.counts()
        result = {"jobs": size} | await accounted(on, "burst", burst(on, names), runner=runner.pid)
        tell(f"after the burst: {rss_mib(on.pids['operator'])} MiB")
        restarted = await restart(on, size)
        result |= await accounted(on, "stages", stages(on, runner, names), runner=runner.pid)
        await steady(on)
        made = writes(growth(before, await on.counts()), OURS) - size  # the bench itself creates the jobs
        result |= {"writes_per_transition": round(made / (len(STAGES) * size), 2)} | restarted
        result |= {"duplicate_children": await duplicates(on, len(STAGES) * size)}
        result |= {"rss_mib": rss_mib(on.pids["operator"]), "idle_writes_per_min": await idle_writes(on)}
        runner.stop()
    tell(json.dumps(result))
    return result


async def unqueued() -> dict[str, Any]:
    """One job at a time."""
    async with bench() as on:
        runner = Runner(on.plane.kubeconfig, PAUSE)
        runner.release()
        for number in range(UNQUEUED_JOBS):
            await create_jobs(on.api, [f"job-{number:05d}"])
            await until("the job has finished", partial(on.observer.reached, finished=number + 1))
        result = percentiles("", latencies_ms(runner.ends(), on.observer.sightings().ended))
        runner.stop()
    tell(f"unqueued: {json.dumps(result)}")
    return result


async def main() -> None:
    """Everything, one after the other."""
    parser = argparse.ArgumentParser(description="The operator under load, beside Kubeflow Trainer's controller.")
    parser.add_argument("--sizes", default=SIZES, help=f"numbers of DistillationJobs; {SIZES} where not given")
    options = parser.parse_args()
    sizes = [await measure(int(size)) for size in options.sizes.split(",")]
    alone = await unqueued()
    with tempfile.TemporaryDirectory(prefix="distillery-peer-") as folder:
        beside = await peer.measure(Path(folder))
    print(json.dumps({"sizes": sizes, "unqueued": alone, "peer": beside}))


if __name__ == "__main__":
    asyncio.run(main())
