"""Plays the kubelet: pods of stages end, and pods of servers become ready, as the test says."""

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any

from distillery_api.distillationjob_status import VerdictStatus
from distillery_api.exits import STOPPED
from distillery_api.run import RUN, RUN_ANNOTATION, EvaluateRun, Run
from distillery_api.schema import Failure
from distillery_api.summary import Summary
from kubernetes import client
from stage_results import DIGESTS, RESULTS, criterion, preflight

STAGE = "distillery.dev/stage"
MANAGED = "app.kubernetes.io/managed-by=distillery"


def verdict_for(run: EvaluateRun, result: str = "Pass") -> VerdictStatus:
    """A verdict on what the run asks about."""
    return VerdictStatus(
        result=result, criteria=[criterion(result)], gate_hash=run.gate.hash, artifact_digest=run.artifact.digest,
        incumbent_digest=run.incumbent.digest if run.incumbent else None,
        report_uri=f"{run.storage}/evaluations/{run.job.uid}/{run.attempt}/report.json",
        report_digest=DIGESTS["report"],
    )  # fmt: skip


class Kubelet:
    """A thread that ends stage pods and readies server pods. `outcome` may be replaced by the test."""

    def __init__(self, api: client.ApiClient) -> None:
        self.core = client.CoreV1Api(api)
        self.verdict = "Pass"
        self.missing_rows = 120
        self.failures: dict[str, Failure] = {}  # by stage
        self.crashes: dict[str, list[dict[str, Any]]] = {}  # by stage: how its next pods end, one each
        self.hold: set[str] = set()  # stages whose pods go on running
        self.artifact = DIGESTS["artifact"]
        self.interface = DIGESTS["interface"]
        self.before_end: Callable[[str], None] = lambda stage: None
        self.ran: list[str] = []  # Jobs whose pods ended, in order
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Kubelet":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(10)

    def _run(self) -> None:
        while not self._stop.wait(0.1):
            for pod in self.pods():
                with contextlib.suppress(client.ApiException):  # a pod that was deleted meanwhile
                    self.tend(pod)

    def pods(self) -> list[Any]:
        """Pods that may need something done."""
        found: list[Any] = self.core.list_pod_for_all_namespaces(label_selector=MANAGED).items
        return found

    def tend(self, pod: Any) -> None:
        """Do for a pod what is due."""
        stage = pod.metadata.labels.get(STAGE)
        if pod.metadata.deletion_timestamp:
            if stage and pod.status.phase in ("Pending", "Running"):
                self._crash(pod, code=STOPPED)  # the worker heeds SIGTERM; the Job controller waits for its end
            self.core.delete_namespaced_pod(pod.metadata.name, pod.metadata.namespace, grace_period_seconds=0)
            return
        if stage is None:
            if pod.status.phase != "Running":
                self._ready(pod)
        elif stage in self.hold:
            if pod.status.phase == "Pending":
                self.patch(pod, phase="Running", podIP="127.0.0.1", state={"running": {"startedAt": now()}})
        elif pod.status.phase in ("Pending", "Running"):
            self._end(pod, stage)

    def _end(self, pod: Any, stage: str) -> None:
        run = RUN.validate_json(pod.metadata.annotations[RUN_ANNOTATION])
        self.before_end(stage)
        if self.crashes.get(stage):
            self._crash(pod, **self.crashes[stage].pop(0))
            return
        failure = self.failures.get(stage)
        summary = (
            Summary(stage=stage, failure=failure) if failure else Summary(stage=stage, **{stage: self.result(run)})
        )
        code = 65 if failure else 0
        ended = {"exitCode": code, "message": summary.message(), "finishedAt": now(), "startedAt": now()}
        self.patch(pod, phase="Failed" if failure else "Succeeded", state={"terminated": ended})
        self.ran.append(pod.metadata.labels["batch.kubernetes.io/job-name"])

    def _crash(self, pod: Any, code: int, reason: str = "Error", taken: str | None = None) -> None:
        """The container ends badly; `taken`: because Kubernetes took the pod away, and why."""
        ended = {"exitCode": code, "reason": reason, "finishedAt": now(), "startedAt": now()}
        taking = {"type": "DisruptionTarget", "status": "True", "reason": taken, "lastTransitionTime": now()}
        self.patch(pod, phase="Failed", state={"terminated": ended}, conditions=[taking] if taken else [])

    def result(self, run: Run) -> Any:
        """What the stage found or made."""
        if run.stage == "preflight":
            return preflight(self.missing_rows)
        if run.stage == "compress":
            made = {"artifact_digest": self.artifact, "interface": self.interface}
            return RESULTS["compress"].model_copy(update=made)
        if isinstance(run, EvaluateRun):
            return verdict_for(run, self.verdict)
        return RESULTS[run.stage]

    def _ready(self, pod: Any) -> None:
        conditions = [
            {"type": kind, "status": "True", "lastTransitionTime": now()}
            for kind in ("PodScheduled", "Initialized", "ContainersReady", "Ready")
        ]
        self.patch(pod, phase="Running", ready=True, state={"running": {"startedAt": now()}}, conditions=conditions)

    def patch(
        self, pod: Any, phase: str, state: dict[str, Any] | None = None, ready: bool = False, **more: Any
    ) -> None:
        """Write the pod's status."""
        container = pod.spec.containers[0]
        status = {"phase": phase, **more}
        if state:
            status["containerStatuses"] = [{
                "name": container.name, "image": container.image, "imageID": "sha256:test", "ready": ready,
                "restartCount": 0, "state": state,
            }]  # fmt: skip
        self.core.patch_namespaced_pod_status(pod.metadata.name, pod.metadata.namespace, {"status": status})


def now() -> str:
    """The time as Kubernetes writes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
