"""Who else is at work in the cluster: the kubelet, and an observer that remembers every Job."""

import threading
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from distillery_api.run import EvaluateRun, Run
from kubelet import MANAGED, STAGE, Kubelet, verdict_for
from kubernetes import client, watch
from stage_results import DIGESTS, RESULTS, preflight

ARTIFACTS = {"first": DIGESTS["artifact"], "second": "sha256:" + "7" * 64}
REVISION = "distillery.dev/revision"
OWNER_UID = "distillery.dev/owner-uid"


class Nodes(Kubelet):
    """The kubelet of all runs: pods of stages run for a moment; each job has a student of its own.

    `second` is better than `first`, needs no labels, and `first` does not pass against it.
    """

    def pods(self) -> list[Any]:
        """Only pods with something due: a thousand runs leave many behind."""
        listing = self.core.list_pod_for_all_namespaces
        unfinished = "status.phase!=Succeeded,status.phase!=Failed"
        stages = listing(label_selector=f"{MANAGED},{STAGE}", field_selector=unfinished).items
        servers = listing(label_selector=f"{MANAGED},{REVISION}", field_selector="status.phase=Pending").items
        return [*stages, *servers]

    def tend(self, pod: Any) -> None:
        """A stage's pod is seen running before it ends."""
        if pod.metadata.labels.get(STAGE) and pod.status.phase == "Pending" and not pod.metadata.deletion_timestamp:
            self.patch(pod, phase="Running")
        else:
            super().tend(pod)

    def result(self, run: Run) -> Any:
        """What the stage of that job found or made."""
        if run.stage == "preflight":
            return preflight(0 if run.job.name == "second" else 120)
        if run.stage == "compress":
            return RESULTS["compress"].model_copy(update={"artifact_digest": ARTIFACTS[run.job.name]})
        if isinstance(run, EvaluateRun):
            beaten = run.incumbent is not None and run.incumbent.digest == ARTIFACTS["second"]
            return verdict_for(run, "Fail" if beaten and run.job.name == "first" else "Pass")
        return super().result(run)


@dataclass
class Seen:
    """One Job of a stage, from its creation on."""

    name: str
    owner: str  # uid
    stage: str
    over: bool = False


class Observer:
    """Watches Jobs at the API server itself, and notes where two of one stage are at work at once."""

    def __init__(self, api: client.ApiClient) -> None:
        self._batch = client.BatchV1Api(api)
        self.seen: dict[str, dict[str, Seen]] = defaultdict(dict)  # by namespace, by uid
        self.overlaps: dict[str, list[str]] = defaultdict(list)  # by namespace
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Observer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(10)

    def forget(self, namespace: str) -> None:
        """A run is over."""
        self.seen.pop(namespace, None)
        self.overlaps.pop(namespace, None)

    def _run(self) -> None:
        version = self._batch.list_job_for_all_namespaces(limit=1).metadata.resource_version
        while not self._stop.is_set():
            stream = watch.Watch()
            for event in stream.stream(
                self._batch.list_job_for_all_namespaces, label_selector=MANAGED, resource_version=version,
                timeout_seconds=5,
            ):  # fmt: skip
                version = event["raw_object"]["metadata"]["resourceVersion"]
                self._see(event["type"], event["raw_object"])

    def _see(self, kind: str, job: dict[str, Any]) -> None:
        metadata = job["metadata"]
        jobs = self.seen[metadata["namespace"]]
        mine = jobs.get(metadata["uid"])
        if mine is None:
            mine = Seen(metadata["name"], metadata["labels"][OWNER_UID], metadata["labels"][STAGE])
            for other in jobs.values():
                if not other.over and (other.owner, other.stage) == (mine.owner, mine.stage):
                    self.overlaps[metadata["namespace"]].append(f"{mine.name} began while {other.name} ran")
            jobs[metadata["uid"]] = mine
        conditions = job.get("status", {}).get("conditions", ())
        ended = any(c["type"] in ("Complete", "Failed") and c["status"] == "True" for c in conditions)
        mine.over = mine.over or ended or kind == "DELETED" or "deletionTimestamp" in metadata
