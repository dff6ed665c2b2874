"""One pass over an object: read the store, plan, act, write the status once, tell, create the Jobs it tells of."""

import contextlib
import datetime as dt
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from distillery_api.distillationjob import OUR_CONTROLLER
from distillery_api.distillationjob_status import Progress
from distillery_api.schema import Failure

from .accounting import account
from .cluster import ApiError, Cluster
from .job_pass import NOT_CREATED, Words
from .metrics import RECONCILE_SECONDS, RECONCILES
from .model_plan import NOT_WRITTEN
from .names import BATCH_JOB, JOB, MODEL, OWNER_UID, PARENTS, POD, STAGE, Kind
from .planning import plan_object
from .plans import Action, Apply, Create, Delete, Merge, Plan
from .recorder import Recorder
from .settings import Settings
from .store import Object, Store, key_of

log = logging.getLogger(__name__)

Item = tuple[Kind, str, str]  # kind, namespace, name of a parent


def now() -> str:
    """The time as Kubernetes writes it."""
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(slots=True)
class Known:
    """What this process knows of a parent's children that no watch brings. Forgotten with the parent."""

    uid: str  # of the parent
    refused: dict[str, Failure] = field(default_factory=dict)  # by child name
    created: str | None = None  # the newest Job that exists, or did


class Reconciler:
    """Reconciles one parent at a time; the queue sees to it that no two passes share an object."""

    def __init__(
        self, cluster: Cluster, store: Store, settings: Settings, touched: Callable[[Kind, Object], None]
    ) -> None:
        self._cluster, self._store, self._settings, self._touched = cluster, store, settings, touched
        self._recorder = Recorder(cluster)
        self._known: dict[Item, Known] = {}
        self.progress: dict[str, Progress] = {}  # by Job name
        self.words = Words()

    async def reconcile(self, item: Item) -> float | None:
        """One pass. Returns seconds to the next one, where time alone will change something."""
        kind, namespace, name = item
        parent = self._store.get(kind, (namespace, name))
        if parent is None:
            self._known.pop(item, None)
        if parent is None or parent["metadata"].get("deletionTimestamp") or managed_elsewhere(parent):
            return None
        started = time.monotonic()
        try:
            seconds = await self._pass(kind, parent)
        except Exception:
            RECONCILES.labels(kind.kind, "error").inc()
            raise
        RECONCILES.labels(kind.kind, "ok").inc()
        RECONCILE_SECONDS.labels(kind.kind).observe(time.monotonic() - started)
        return seconds

    async def _pass(self, kind: Kind, parent: Object) -> float | None:
        plan = self._plan(kind, parent)
        if any(job.repeats for job in plan.jobs) or (plan.jobs and plan.status == parent.get("status")):
            # The cache is a hint, and no write of the status will prove it: look at the cluster itself.
            confirmed = await self._confirm(kind, parent)
            if confirmed is None:
                return None
            parent, plan = confirmed, self._plan(kind, confirmed)
            if any(job.repeats for job in plan.jobs):
                # Asked of the plan on the live object: it may tell of an attempt whose Job is not in the cache yet.
                await self._confirm_children(parent["metadata"])
                plan = self._plan(kind, parent)
        for action in plan.actions:
            if isinstance(action, Merge) and (action.kind, action.name) == (kind, parent["metadata"]["name"]):
                parent = await self._annotate(parent, action)
            elif not await self._act(parent, action):
                return 0.0  # the plan stood on a wrong belief: make another
        # A pass that begins an attempt needs no other until something happens, or the time that it names.
        parent = await self._write_status(kind, parent, plan.status, wakes=not plan.jobs)
        for note in plan.notes:
            await self._recorder.post(parent, note, now())
        for job in plan.jobs:
            if not await self._act(parent, job):
                return 0.0
        return plan.requeue_after

    def _plan(self, kind: Kind, parent: Object) -> Plan:
        known = self._known_of(parent)
        return plan_object(
            kind, parent, self._store, self._settings, now(), self.progress, known.refused, self.words, known.created
        )  # fmt: skip

    def _known_of(self, parent: Object) -> Known:
        """What is known beside the store of the children of that very object."""
        item = (next(kind for kind in PARENTS if kind.kind == parent["kind"]), *key_of(parent))
        known = self._known.get(item)
        if known is None or known.uid != parent["metadata"]["uid"]:
            known = self._known[item] = Known(parent["metadata"]["uid"])
        return known

    async def _confirm(self, kind: Kind, parent: Object) -> Object | None:
        """Read the parent live into the store; None when it is gone."""
        metadata = parent["metadata"]
        live = await self._cluster.get(kind, metadata["namespace"], metadata["name"])
        if live is None or live["metadata"]["uid"] != metadata["uid"]:
            self._store.remove(kind, key_of(parent), metadata["uid"])
            return None
        self._store.put(kind, live)
        return self._store.get(kind, key_of(parent))

    async def _confirm_children(self, metadata: Mapping[str, Any]) -> None:
        """Read Jobs and pods of an object live into the store. The API server looks at all of the namespace's."""
        for child in (BATCH_JOB, POD):
            selector = f"{OWNER_UID}={metadata['uid']}"
            items, listed_at = await self._cluster.list(child, selector, metadata["namespace"])
            present = {key_of(item) for item in items}
            for item in items:
                self._store.put(child, item)
            for held in self._store.owned(child, metadata["uid"]):
                if key_of(held) not in present and int(held["metadata"]["resourceVersion"]) <= listed_at:
                    self._store.remove(child, key_of(held), held["metadata"]["uid"])

    async def _annotate(self, parent: Object, action: Merge) -> Object:
        """Write to the planned object itself, as it was planned on; returns it as it is then."""
        metadata = {**action.body["metadata"], "resourceVersion": parent["metadata"]["resourceVersion"]}
        body = {**action.body, "metadata": metadata}
        written = await self._cluster.merge(action.kind, action.namespace, action.name, body)
        self._remember(action.kind, written, None)
        return written

    async def _act(self, parent: Object, action: Action) -> bool:
        """Carry out one action. False when the API server knows better and a new plan is due."""
        if isinstance(action, Delete):
            await self._cluster.delete(action.kind, action.namespace, action.name, action.uid, action.foreground)
            return True
        if isinstance(action, Merge):
            written = await self._cluster.merge(
                action.kind, action.namespace, action.name, action.body, action.subresource
            )
            self._remember(action.kind, written, action.subresource)
            return True
        name = action.body["metadata"]["name"]
        try:
            if isinstance(action, Apply):
                await self._must_be_ours(parent, action)
                written = await self._cluster.apply(action.kind, action.body)
            else:
                written = await self._cluster.create(action.kind, action.body)
        except ApiError as error:
            return await self._refusal(parent, action, error)
        known = self._known_of(parent)
        was_refused = known.refused.pop(name, None) is not None
        if action.kind == BATCH_JOB:
            known.created = name
        if action.kind != BATCH_JOB or was_refused:
            self._remember(action.kind, written, None)
        else:  # the status tells of it already
            self._store.put(action.kind, written)
        stage = action.body["metadata"]["labels"].get(STAGE)
        log.info("wrote %s %s", action.kind.kind, name, extra={"stage": stage} if stage else {})
        return True

    async def _must_be_ours(self, parent: Object, action: Apply) -> None:
        """Server-side apply would take over a foreign object of that name: ask first."""
        namespace, name = key_of(action.body)
        if self._store.get(action.kind, (namespace, name)) is not None:
            return
        held = await self._cluster.get(action.kind, namespace, name)
        if held is not None and not owned_by(held, parent):
            raise ApiError(409, "AlreadyExists", "")

    async def _refusal(self, parent: Object, action: Create | Apply, error: ApiError) -> bool:
        """Learn from a refused write; raises what only time can heal."""
        namespace, name = key_of(action.body)
        if error.status == 409 and error.reason == "AlreadyExists":
            held = await self._cluster.get(action.kind, namespace, name)
            if held is not None and owned_by(held, parent):
                self._remember(action.kind, held, None)
                if action.kind == BATCH_JOB:
                    self._known_of(parent).created = name
                return False
            if held is None or leaving(held, parent):
                raise error  # the name is free in a moment
            return self._learn(parent, name, name_taken(action.kind, name))
        # A 403 is a quota or an admission policy; for what a stage needs that is a delay, which is told below.
        if error.status in (400, 422) or (error.status == 403 and parent["kind"] == MODEL.kind):
            message = f"Kubernetes refuses the {action.kind.kind}: {error.message}"[:1024]
            return self._learn(parent, name, Failure(reason="ChildRefused", message=message))
        if error.status:
            await self._tell_delay(parent, action, error)
        raise error

    def _learn(self, parent: Object, name: str, failure: Failure) -> bool:
        """Remember why a child is not written; False when that is news, and a new plan is due."""
        refused = self._known_of(parent).refused
        held, refused[name] = refused.get(name), failure
        return held is not None and held.reason == failure.reason

    async def _tell_delay(self, parent: Object, action: Create | Apply, error: ApiError) -> None:
        """Say on the parent why its child is not written; what the pass found out before is stored as well."""
        child, name = action.kind.kind, action.body["metadata"]["name"]
        kind, reason = (MODEL, NOT_WRITTEN) if parent["kind"] == MODEL.kind else (JOB, NOT_CREATED)
        words = f"Kubernetes does not take {child} {name} now, it is tried again: {error.status} {error.message}"
        self._learn(parent, name, Failure(reason=reason, message=words[:1024]))
        plan = self._plan(kind, parent)
        with contextlib.suppress(ApiError):  # the pass has failed anyway, and comes again
            await self._write_status(kind, parent, plan.status)
            for note in plan.notes:  # the next pass finds them in the status, and tells nothing
                await self._recorder.post(parent, note, now())

    def _remember(self, kind: Kind, written: Object, subresource: str | None) -> None:
        """What the API server answered is newer than anything a watch has brought, and the watch will add nothing."""
        if subresource in (None, "status") and self._store.put(kind, written):
            self._touched(kind, written)

    async def _write_status(self, kind: Kind, parent: Object, status: dict[str, Any], wakes: bool = True) -> Object:
        """One write, and none when nothing changed; returns the object as it is then. `wakes` those it concerns.

        Fails (409) on an object that is not the one planned on.
        """
        before = parent.get("status", {})
        if before == status:
            return parent
        metadata = {name: parent["metadata"][name] for name in ("name", "namespace", "uid", "resourceVersion")}
        body = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, "status": status}
        written = await self._cluster.replace_status(kind, body)
        if wakes:
            self._remember(kind, written, "status")
        else:
            self._store.put(kind, written)
        account(parent["metadata"]["namespace"], before, status)
        version = {"resourceVersion": written["metadata"]["resourceVersion"]}
        return {**parent, "metadata": {**parent["metadata"], **version}, "status": written["status"]}


def managed_elsewhere(parent: Object) -> bool:
    """Whether the spec leaves the object to another controller."""
    return bool(parent["spec"].get("managedBy", OUR_CONTROLLER) != OUR_CONTROLLER)


def name_taken(kind: Kind, name: str) -> Failure:
    """Why a child cannot be written: the name is another owner's."""
    message = f"a {kind.kind} {name} of another owner exists; delete it, or use another name here"
    return Failure(reason="NameTaken", message=message)


def owned_by(child: Object, parent: Object) -> bool:
    """Whether the parent controls the child."""
    return any(
        owner["uid"] == parent["metadata"]["uid"] and owner.get("controller")
        for owner in child["metadata"].get("ownerReferences", ())
    )


def leaving(child: Object, parent: Object) -> bool:
    """Whether the child is being deleted, or belonged to a deleted object under the parent's name."""
    metadata = child["metadata"]
    mine = (parent["kind"], parent["metadata"]["name"])
    owners = ((owner["kind"], owner["name"]) for owner in metadata.get("ownerReferences", ()))
    return "deletionTimestamp" in metadata or mine in owners
