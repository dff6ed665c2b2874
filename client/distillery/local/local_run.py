"""One DistillationJob from plan to verdict: what the operator would write is carried out here."""

import time
from pathlib import Path

from distillery_api.distillationjob_status import DistillationJobStatus, Progress
from distillery_operator.job_pass import Words
from distillery_operator.names import BATCH_JOB, JOB, MODEL
from distillery_operator.planning import plan_object
from distillery_operator.plans import Delete, Plan
from distillery_operator.pod_reports import summed
from distillery_operator.store import Object, key_of

from ..request import Request
from ..screen import Screen
from .api_server import ApiServer, now
from .job_controller import JobController

TICK = 0.2  # seconds between looks at the processes


class LocalRun:
    """Drives the operator's planner over one object until it is over, or stopped."""

    def __init__(self, request: Request, folder: Path, cpus: int, screen: Screen) -> None:
        self._api, self._settings, self._screen = ApiServer(), request.settings, screen
        self._jobs = JobController(self._api, folder, cpus)
        self._progress: dict[str, Progress] = {}
        self._created: str | None = None
        self._job = request.job
        self._api.create(JOB, self._job)
        if request.model is not None:
            self._api.create(MODEL, request.model)
        self._stops, self._stopping = 0, False

    def run(self) -> DistillationJobStatus:
        """The last status: with `finishedAt`, unless it was stopped."""
        while True:
            self._heed_stops()
            plan = self._pass()
            status = DistillationJobStatus.model_validate(plan.status)
            self._screen.show(status)
            if status.finished_at or (self._stopping and not self._running()):
                return status
            if not plan.actions and not plan.jobs:
                time.sleep(TICK)

    def stop(self) -> None:
        """For signal handlers: the first call lets stages store what they have, another one kills them."""
        self._stops += 1

    def _heed_stops(self) -> None:
        if self._stops and not self._stopping:
            self._screen.say("Stopping: the stage stores what it has; once more to kill it.")
            self._stopping = True
            self._job["spec"]["suspend"] = True
            self._job["metadata"]["generation"] += 1
        if self._stops > 1:
            self._jobs.kill()

    def kill(self) -> None:
        """End what runs, whatever it is doing: for a run that cannot go on."""
        self._jobs.kill()

    def _pass(self) -> Plan:
        for words in self._jobs.tick():
            self._screen.say(words)
        for job in self._running():
            if (progress := summed(self._jobs.reports(job))) is not None:
                self._progress[job] = progress
        held = self._api.store
        plan = plan_object(JOB, self._job, held, self._settings, now(), self._progress, {}, Words(), self._created)
        for action in plan.actions:
            if isinstance(action, Delete):
                self._jobs.delete(action.name)
        self._job["status"] = plan.status
        self._api.update(JOB, self._job)
        for note in plan.notes:
            if note.type == "Warning" and "finishedAt" not in plan.status:  # the end is told as a whole
                self._screen.say(f"{note.reason}: {note.message}")
        for create in plan.jobs:
            self._jobs.create(create.body)
            self._created = create.body["metadata"]["name"]
        return plan

    def _running(self) -> list[str]:
        """Names of Jobs that have not ended."""
        jobs: list[Object] = self._api.store.all(BATCH_JOB)
        return [key_of(job)[1] for job in jobs if not job["status"].get("conditions")]
