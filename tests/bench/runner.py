"""The scripted runner: job controller and kubelet in one fast process, which makes stages end well.

Each Job gets one pod; the pod ends with a valid summary, then its Job is Complete: three writes. While the runner is
held, a Job gets its pod after HELD_FOR seconds, before the operator calls it stuck, and goes on no further.
"""

import asyncio
import contextlib
import multiprocessing
import time
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any

from connection import MERGE, Connection, connect
from distillery_api.run import RUN, RUN_ANNOTATION, EvaluateRun
from distillery_api.summary import Summary
from distillery_operator.names import BATCH_JOB, OWNER_NAME, POD, STAGE
from kubelet import now, verdict_for
from stage_results import RESULTS, preflight

IN_FLIGHT = 8  # Jobs that it works on at once
HELD_FOR = 12.0
Job = dict[str, Any]


class Runner:
    """The process. Starts held. `pause`: seconds between the end of a pod and that of its Job."""

    def __init__(self, kubeconfig: Path, pause: float = 0.0) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=run, args=(theirs, kubeconfig, pause), daemon=True)
        self._process.start()
        theirs.close()  # so that `recv` ends where the process did
        self._pipe.recv()  # its watch stands
        self.pid = self._process.pid or 0

    def release(self) -> None:
        """From now on stages end as fast as it can write."""
        self._pipe.send("release")

    def ends(self) -> dict[str, float]:
        """When the write that completed each Job was answered, by `parent/stage`; monotonic seconds."""
        self._pipe.send("ends")
        ends: dict[str, float] = self._pipe.recv()
        return ends

    def stop(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.join()


def run(pipe: Pipe, kubeconfig: Path, pause: float) -> None:
    """The process: runs until it is killed."""
    asyncio.run(running(pipe, kubeconfig, pause))


async def running(pipe: Pipe, kubeconfig: Path, pause: float) -> None:
    """Follows all Jobs, a task for each."""
    released, slots = asyncio.Event(), asyncio.Semaphore(IN_FLIGHT)
    tasks: dict[str, asyncio.Task[None]] = {}
    ends: dict[str, float] = {}

    async def tend(job: Job) -> None:
        held = not await within(HELD_FOR, released)
        if held:
            async with slots:
                await give_pod(api, job)
            await released.wait()
        async with slots:
            if not held:
                await give_pod(api, job)
            await end_pod(api, job)
            await asyncio.sleep(pause)
            await end_job(api, job)
        labels = job["metadata"]["labels"]
        ends[f"{labels[OWNER_NAME]}/{labels[STAGE]}"] = time.monotonic()

    async def follow() -> None:
        async for _, event in api.watch(BATCH_JOB.path()):
            if not event:
                pipe.send("standing")
                continue
            uid = event["object"]["metadata"]["uid"]
            if event["type"] == "ADDED":
                tasks[uid] = asyncio.create_task(tend(event["object"]))
            elif event["type"] == "DELETED":
                tasks.pop(uid).cancel()
            elif uid in tasks and tasks[uid].done():
                tasks[uid].result()

    async def answer() -> None:
        while True:
            if await asyncio.to_thread(pipe.recv) == "release":
                released.set()
            else:
                pipe.send(ends)

    async with connect(kubeconfig) as api:
        await asyncio.gather(follow(), answer())


async def within(seconds: float, event: asyncio.Event) -> bool:
    """Whether the event comes in time."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
    return event.is_set()


async def give_pod(api: Connection, job: Job) -> None:
    """The Job's pod, as its controller would make it."""
    namespace, name, uid = (job["metadata"][key] for key in ("namespace", "name", "uid"))
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": uid, "controller": True}
    template = job["spec"]["template"]
    metadata = {"name": pod_name(job), "labels": template["metadata"]["labels"], "ownerReferences": [owner]}
    metadata["annotations"] = template["metadata"]["annotations"]
    await api.send("POST", POD.path(namespace), {"metadata": metadata, "spec": template["spec"]})


async def end_pod(api: Connection, job: Job) -> None:
    """The pod ends well, with its stage's summary."""
    container = job["spec"]["template"]["spec"]["containers"][0]
    ended = {"exitCode": 0, "message": summary(job).message(), "startedAt": now(), "finishedAt": now()}
    state = {
        "name": container["name"], "image": container["image"], "imageID": "sha256:bench", "ready": False,
        "restartCount": 0, "state": {"terminated": ended},
    }  # fmt: skip
    body = {"status": {"phase": "Succeeded", "containerStatuses": [state]}}
    await api.send("PATCH", POD.path(job["metadata"]["namespace"], pod_name(job), "status"), body, MERGE)


async def end_job(api: Connection, job: Job) -> None:
    """The Job is Complete."""
    conditions = [
        {"type": kind, "status": "True", "lastTransitionTime": now(), "lastProbeTime": now()}
        for kind in ("SuccessCriteriaMet", "Complete")
    ]
    status = {"startTime": now(), "completionTime": now(), "succeeded": 1, "conditions": conditions}
    path = BATCH_JOB.path(job["metadata"]["namespace"], job["metadata"]["name"], "status")
    await api.send("PATCH", path, {"status": status}, MERGE)


def pod_name(job: Job) -> str:
    """One pod for a Job."""
    return f"{job['metadata']['name']}-pod"


def summary(job: Job) -> Summary:
    """What the stage found: every row is labelled already, so the label stage is skipped."""
    run = RUN.validate_json(job["spec"]["template"]["metadata"]["annotations"][RUN_ANNOTATION])
    if isinstance(run, EvaluateRun):
        return Summary(stage="evaluate", evaluate=verdict_for(run))
    result = preflight(missing=0) if run.stage == "preflight" else RESULTS[run.stage]
    return Summary.model_validate({"stage": run.stage, run.stage: result})
