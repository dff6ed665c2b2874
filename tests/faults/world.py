"""What a run's disturbance may do besides answering: kill, delete, restore, cut off."""

import contextlib
import datetime as dt
import time
from collections.abc import Iterator, Sequence
from typing import Any

from journal import Tally
from kubernetes import client
from namespaces import GROUP, VERSION, Namespace
from supervised import Supervised
from waiting import eventually

JOBS, MODELS = "distillationjobs", "distilledmodels"
FORGOTTEN = dt.timedelta(seconds=60)  # without a pod; of a Job whose name another one had a moment before
LEASE = "distillery"  # its name, in the namespace of each run
PARENTS = {"job": (JOBS,), "model": (MODELS,), "all": (MODELS, JOBS)}


def operator_of(identity: str) -> int:
    """The number of the operator that the process belongs to."""
    return int(identity.partition("-")[0])


class World:
    """The namespace of a run as others see it, its operators, and whether they reach the API server."""

    def __init__(self, namespace: Namespace, outage: float, tally: Tally) -> None:
        self.namespace, self.tally = namespace, tally
        self.operators: Sequence[Supervised] = ()
        self.under_way = False  # the fault, which began and is not over
        self.void: str | None = None  # why the fault cannot happen at its point
        self.frozen = False
        self.vanishing: tuple[str, str] | None = None  # path of the collection, name
        self.vanished: str | None = None  # a Job that did
        self.restored: list[dict[str, Any]] = []  # objects as they were before
        self._outage = outage  # seconds
        self._cut_until = self._silent_until = 0.0

    @property
    def cut(self) -> bool:
        """Whether connections are refused."""
        return time.monotonic() < self._cut_until

    @property
    def silent(self) -> bool:
        """Whether nothing is answered."""
        return time.monotonic() < self._silent_until

    def operator(self, identity: str) -> Supervised:
        """The operator that the process belongs to."""
        return self.operators[operator_of(identity)]

    def signal(self, identity: str, number: int) -> None:
        """Send it to the process."""
        self.operator(identity).send(number)

    def cut_off(self) -> None:
        """End every connection, and refuse new ones for a while."""
        self._cut_until = time.monotonic() + self._outage
        for operator in self.operators:
            operator.proxy.abort_watches()

    def fall_silent(self) -> None:
        """Answer nothing for a while."""
        self._silent_until = time.monotonic() + self._outage

    def delete(self, child: str) -> bool:
        """Delete the newest child of that kind as `kubectl delete` would; False when there is none."""
        space = self.namespace
        listing, removing = {
            "job": (space.batch.list_namespaced_job, space.batch.delete_namespaced_job),
            "pod": (space.core.list_namespaced_pod, space.core.delete_namespaced_pod),
            "deployment": (space.apps.list_namespaced_deployment, space.apps.delete_namespaced_deployment),
            "service": (space.core.list_namespaced_service, space.core.delete_namespaced_service),
            "autoscaler": (space.scaling.list_namespaced_horizontal_pod_autoscaler,
                           space.scaling.delete_namespaced_horizontal_pod_autoscaler),
        }[child]  # fmt: skip
        items = sorted(listing(space.name).items, key=lambda item: int(item.metadata.resource_version))
        for item in items[-1:]:
            with contextlib.suppress(client.ApiException):  # it went meanwhile
                removing(item.metadata.name, space.name, propagation_policy="Background")
        return bool(items)

    def delete_lease(self) -> None:
        """As `kubectl delete` would."""
        api = client.CoordinationV1Api(self.namespace.core.api_client)
        api.delete_namespaced_lease(LEASE, self.namespace.name)

    def vanish(self, path: str) -> None:
        """Delete what is to vanish, if the path is that of its collection."""
        if self.vanishing is None or self.vanishing[0] != path:
            return
        name, self.vanishing, space = self.vanishing[1], None, self.namespace
        self.vanished = name if path.endswith("/jobs") else None
        remove = {
            "jobs": space.batch.delete_namespaced_job, "deployments": space.apps.delete_namespaced_deployment,
            "events": space.core.delete_namespaced_event,
        }[path.rpartition("/")[2]]  # fmt: skip
        remove(name, space.name, propagation_policy="Background")

    def delete_forgotten(self) -> None:
        """As the condition NoPod advises: the Job controller may forget one that has the name of one that vanished.

        That is kubernetes/kubernetes#131917, and nothing that the operator does.
        """
        if self.vanished is None:
            return
        batch, space = self.namespace.batch, self.namespace.name
        for job in batch.list_namespaced_job(space, field_selector=f"metadata.name={self.vanished}").items:
            age, had = dt.datetime.now(dt.UTC) - job.metadata.creation_timestamp, job.status
            if age > FORGOTTEN and not (had.active or had.terminating or had.succeeded or had.failed):
                self.tally.note(f"the Job controller has forgotten {self.vanished}")
                batch.delete_namespaced_job(self.vanished, space, propagation_policy="Background")
                self.vanished = None

    def restore(self, what: str, with_status: bool) -> None:
        """Back up the newest object of a kind, or all of both kinds; lose them; create them again."""
        backup = list(self._backup(what))
        for plural, obj in backup:
            self._lose(plural, obj)
        for plural, obj in backup:
            self._bring_back(plural, obj, with_status)
            self.restored.append(obj)
        if not backup:
            self.void = "there is nothing to restore yet"

    def _backup(self, what: str) -> Iterator[tuple[str, dict[str, Any]]]:
        custom, name = self.namespace.custom, self.namespace.name
        for plural in PARENTS[what]:
            items = custom.list_namespaced_custom_object(GROUP, VERSION, name, plural)["items"]
            items.sort(key=lambda item: item["metadata"]["creationTimestamp"])
            yield from ((plural, item) for item in (items if what == "all" else items[-1:]))

    def _lose(self, plural: str, obj: dict[str, Any]) -> None:
        custom, name = self.namespace.custom, obj["metadata"]["name"]
        custom.delete_namespaced_custom_object(GROUP, VERSION, self.namespace.name, plural, name)

        def gone() -> bool:
            try:
                self.namespace.get(plural, name)
            except client.ApiException as error:
                return bool(error.status == 404)
            return False

        eventually(gone, bool)

    def _bring_back(self, plural: str, obj: dict[str, Any], with_status: bool) -> None:
        custom, space = self.namespace.custom, self.namespace.name
        metadata = {key: obj["metadata"][key] for key in ("name", "annotations", "labels") if key in obj["metadata"]}
        body = {**obj, "metadata": metadata}
        body.pop("status", None)
        made = custom.create_namespaced_custom_object(GROUP, VERSION, space, plural, body)
        if with_status and "status" in obj:
            body = {**made, "status": obj["status"]}
            custom.replace_namespaced_custom_object_status(GROUP, VERSION, space, plural, metadata["name"], body)
