"""Plays the Job controller and the kubelet: a Job's pods are worker processes, its conditions follow their exits."""

import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from distillery_api.exits import DONE
from distillery_api.run import RUN_ANNOTATION
from distillery_operator.names import BATCH_JOB, INDEX, POD
from distillery_operator.pod_reports import Report
from distillery_operator.store import Object

from .api_server import ApiServer, now
from .worker import LOG, WORK, Worker, start_worker

GRACE = 60.0  # seconds between SIGTERM and SIGKILL: terminationGracePeriodSeconds of the stages' pods
BACKOFF, LONGEST = 1.0, 60.0  # seconds before a crashed pod's first successor, and before any


@dataclass
class LocalJob:
    """A Job and its processes."""

    body: Object
    waiting: list[int]  # completion indexes without a pod
    running: dict[str, Worker] = field(default_factory=dict)  # by pod name
    reports: dict[int, Report] = field(default_factory=dict)  # by completion index; those that ended still count
    pods: int = 0
    crashes: int = 0
    not_before: float = 0.0  # monotonic time of the next pod
    failure: dict[str, str] | None = None  # reason and message
    kill_at: float | None = None  # monotonic time at which what still runs is killed
    leaving: bool = False
    over: bool = False

    @property
    def name(self) -> str:
        """The Job's name."""
        name: str = self.body["metadata"]["name"]
        return name

    def stop(self) -> None:
        """SIGTERM for what runs; no pod follows."""
        self.waiting.clear()
        if self.kill_at is None:
            self.kill_at = time.monotonic() + GRACE
            self.send(signal.SIGTERM)

    def send(self, number: signal.Signals) -> None:
        """A signal for every process that runs."""
        for worker in self.running.values():
            worker.signal(number)


class JobController:
    """Jobs by name. `cpus` are shared by the pods that run at once."""

    def __init__(self, api: ApiServer, folder: Path, cpus: int) -> None:
        self._api, self._folder, self._cpus = api, folder, cpus
        self._jobs: dict[str, LocalJob] = {}

    def create(self, body: Object) -> None:
        """Take a new Job."""
        body["status"] = {"startTime": now()}
        self._api.create(BATCH_JOB, body)
        indexes = list(range(body["spec"].get("completions", 1)))
        self._jobs[body["metadata"]["name"]] = LocalJob(body, indexes)

    def delete(self, name: str) -> None:
        """Stop the Job's processes; it is there until the last of them has ended."""
        job = self._jobs[name]
        job.leaving = True
        job.body["metadata"]["deletionTimestamp"] = now()
        self._api.update(BATCH_JOB, job.body)
        job.stop()

    def kill(self) -> None:
        """End everything at once."""
        for job in self._jobs.values():
            job.stop()
            job.send(signal.SIGKILL)

    def tick(self) -> list[str]:
        """Bring every Job up to its processes, and begin what is due; tells which pods were replaced."""
        replaced: list[str] = []
        for job in list(self._jobs.values()):
            replaced += self._reap(job)
            if job.kill_at is not None and time.monotonic() >= job.kill_at:
                job.send(signal.SIGKILL)
            self._fill(job)
            self._conclude(job)
        return replaced

    def reports(self, name: str) -> list[Report]:
        """What the Job's pods say of how far they are."""
        job = self._jobs[name]
        for worker in job.running.values():
            if (report := worker.report()) is not None:
                job.reports[worker.index] = report
        return list(job.reports.values())

    def _reap(self, job: LocalJob) -> Iterator[str]:
        for pod, worker in list(job.running.items()):
            if (code := worker.exit_code) is None:
                continue
            del job.running[pod]
            self._show(job, pod, worker)
            shutil.rmtree(worker.folder / WORK, ignore_errors=True)
            if code != DONE and not job.leaving and job.failure is None:
                self._retry(job, worker.index, code)
                if job.failure is None:
                    yield f"Another process follows {pod}, which ended with exit code {code}; see {worker.folder / LOG}"

    def _retry(self, job: LocalJob, index: int, code: int) -> None:
        """Another pod in the place of one that failed, or the Job's failure: by its own policy and limit."""
        action = policy(job.body, code)
        if action == "FailJob":
            message = f"a pod ended with exit code {code}, which a retry does not mend"
            job.failure = {"reason": "PodFailurePolicy", "message": message}
        elif action == "Count":
            job.crashes += 1
            job.not_before = time.monotonic() + min(BACKOFF * 2 ** (job.crashes - 1), LONGEST)
            if job.crashes > job.body["spec"]["backoffLimit"]:
                message = "Job has reached the specified backoff limit"
                job.failure = {"reason": "BackoffLimitExceeded", "message": message}
        if job.failure:
            job.stop()
        else:
            job.waiting.insert(0, index)

    def _fill(self, job: LocalJob) -> None:
        parallelism = job.body["spec"].get("parallelism", 1)
        while job.waiting and len(job.running) < parallelism and time.monotonic() >= job.not_before:
            pod = f"{job.name}-{job.pods}"
            job.pods += 1
            run = job.body["spec"]["template"]["metadata"]["annotations"][RUN_ANNOTATION]
            threads = max(1, self._cpus // parallelism)
            worker = start_worker(run, job.waiting.pop(0), self._folder / pod, threads, now())
            job.running[pod] = worker
            self._show(job, pod, worker)

    def _conclude(self, job: LocalJob) -> None:
        if job.running or job.waiting or job.over:
            return
        if job.leaving:
            self._api.remove(BATCH_JOB, job.body)
            del self._jobs[job.name]
            return
        condition = {"type": "Failed" if job.failure else "Complete", "status": "True", "lastTransitionTime": now()}
        job.body["status"]["conditions"] = [{**condition, **(job.failure or {})}]
        job.over = True
        self._api.update(BATCH_JOB, job.body)

    def _show(self, job: LocalJob, name: str, worker: Worker) -> None:
        """Write the pod as the kubelet would."""
        metadata = job.body["metadata"]
        phase, state = pod_state(worker)
        self._api.update(POD, {
            "apiVersion": "v1", "kind": "Pod", "spec": job.body["spec"]["template"]["spec"],
            "metadata": {
                "name": name, "namespace": metadata["namespace"], "uid": name, "labels": metadata["labels"],
                "creationTimestamp": worker.started_at, "annotations": {INDEX: str(worker.index)},
                "ownerReferences": [{"uid": metadata["uid"], "controller": True}],
            },
            "status": {"phase": phase, "containerStatuses": [{"state": state}]},
        })  # fmt: skip


def policy(job: Object, code: int) -> str:
    """What the Job's podFailurePolicy says of an exit code: FailJob, Ignore, or Count where no rule is for it."""
    rules = job["spec"]["podFailurePolicy"]["rules"]
    actions = (rule["action"] for rule in rules if code in rule.get("onExitCodes", {}).get("values", ()))
    return next(actions, "Count")


def pod_state(worker: Worker) -> tuple[str, dict[str, Any]]:
    """Phase of the pod and state of its container."""
    code = worker.exit_code
    if code is None:
        return "Running", {"running": {"startedAt": worker.started_at}}
    ended = {"exitCode": code, "message": worker.message(), "startedAt": worker.started_at, "finishedAt": now()}
    return "Succeeded" if code == DONE else "Failed", {"terminated": ended}
