"""What to do next for a DistilledModel: choose a student, bring it up, cut over, clear away. Pure."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from distillery_api.distilledmodel import (
    DecisionStatus,
    DistilledModelSpec,
    DistilledModelStatus,
    RevisionStatus,
)
from distillery_api.run import ArtifactRef
from distillery_api.schema import Failure

from .by_hand import ByHand
from .model_conditions import model_conditions
from .model_manifests import (
    build_autoscaler,
    build_deployment,
    build_service,
    deployment_name,
    revision_of,
    selector,
)
from .names import ACTIVE_ANNOTATION, AUTOSCALER, DEPLOYMENT, MODEL, REVISION, SERVICE
from .offers import HISTORY, Choice, Offer, Unreadable, choose, decision, promoted, revision_status, unread
from .plans import Apply, Create, Delete, Draft, Merge, Note, Plan, covers, seconds_between
from .rollouts import Rollout, observe_rollout, routed_to
from .settings import Settings
from .store import Object

NOT_WRITTEN = "ChildNotWritten"  # reason of a refusal that may pass: a webhook that is away, the API server itself
RETRY_REFUSED = 30.0  # seconds after which a child that the API server would not have is tried again
LINGER = 15  # seconds that a replaced revision stays up while routes to it go away


@dataclass(frozen=True)
class ModelView:
    """A DistilledModel and everything the plan may look at."""

    namespace: str
    name: str
    uid: str
    owner: Mapping[str, object]
    generation: int
    annotations: Mapping[str, str]
    spec: DistilledModelSpec
    status: DistilledModelStatus
    deployments: Sequence[Object]
    services: Sequence[Object]
    autoscalers: Sequence[Object]
    pods: Sequence[Object]
    offers: Sequence[Offer]
    unreadable: Sequence[Unreadable] = ()
    refused: Mapping[str, Failure] = field(default_factory=dict)  # children that the API server would not have

    @property
    def by_hand(self) -> ByHand:
        """What a person decided."""
        return ByHand.read(self.annotations)


@dataclass
class Pass:
    """The state of one pass over a model."""

    view: ModelView
    settings: Settings
    now: str
    active: RevisionStatus | None
    history: list[DecisionStatus]
    candidate: RevisionStatus | None = None
    draft: Draft = field(default_factory=Draft)
    rollout: Rollout | None = None  # of the active revision
    requeue_after: float | None = None
    trouble: str | None = None  # why the candidate does not come up
    stalled: tuple[str, str] | None = None  # a child that Kubernetes does not take until somebody acts
    delayed: tuple[str, str] | None = None  # a child that Kubernetes does not take for now
    routed: Rollout | None = None  # of the revision that the Service leads to
    unread: str | None = None  # jobs that would be offers and cannot be read


def plan_model(view: ModelView, settings: Settings, now: str) -> Plan:
    """One pass. `now` is RFC 3339."""
    state = Pass(
        view,
        settings,
        now,
        active=view.status.active or remembered(view.annotations),
        history=list(view.status.history),
    )
    choice = choose(view.spec, state.active, state.history, view.offers, view.by_hand, now)
    record(state, choice.decisions)
    tell_unread(state)
    target = wanted_revision(state, choice)
    if target is not None and (state.active is None or target.revision != state.active.revision):
        roll_out(state, target, choice.offer)
    if state.active is not None:
        serve(state, state.active)
    clear_away(state)
    note_refusals(state)
    return finished_plan(state)


def remembered(annotations: Mapping[str, str]) -> RevisionStatus | None:
    """What served, from the annotation: for a model that was restored without its status."""
    text = annotations.get(ACTIVE_ANNOTATION)
    return RevisionStatus.model_validate_json(text) if text else None


def record(state: Pass, decisions: Sequence[DecisionStatus]) -> None:
    """Add to the history and tell."""
    for entry in decisions:
        state.history = [*state.history, entry][-HISTORY:]
        kind = "Normal" if entry.outcome == "Promoted" else "Warning"
        state.draft.notes.append(Note(kind, entry.reason, f"student of job {entry.job}: {entry.message}"))


def tell_unread(state: Pass) -> None:
    """Say which jobs cannot be read: in a condition as long as they are there, in an event when that is new."""
    state.unread = unread(state.view.unreadable, state.history)
    if state.unread and state.unread not in (condition.message for condition in state.view.status.conditions):
        state.draft.notes.append(Note("Warning", "JobUnreadable", state.unread))


def wanted_revision(state: Pass, choice: Choice) -> RevisionStatus | None:
    """The chosen student, or the active one under today's pod template."""
    view = state.view
    if choice.offer is not None:
        artifact = artifact_of(revision_status(choice.offer, ""))
        return revision_status(
            choice.offer, revision_of(view.namespace, view.name, view.spec, artifact, state.settings)
        )
    if state.active is None:
        return None
    revision = revision_of(view.namespace, view.name, view.spec, artifact_of(state.active), state.settings)
    return state.active.model_copy(update={"revision": revision})


def artifact_of(revision: RevisionStatus) -> ArtifactRef:
    """What the revision serves."""
    return ArtifactRef(uri=revision.uri, digest=revision.digest)


def roll_out(state: Pass, target: RevisionStatus, offer: Offer | None) -> None:
    """Bring the target up to the incumbent's size; cut over once all of it is ready."""
    state.candidate = target
    rollout = rollout_of(state, target.revision)
    size = size_wanted(state)
    if rollout is None:
        deploy(state, target, size)
        return
    if rollout.failure is not None and offer is not None:
        record(state, [decision(offer, "Rejected", "CandidateFailed", rollout.failure, state.now)])
        state.candidate = None
        return
    state.trouble = rollout.failure
    if rollout.replicas < size:
        resize(state, rollout, size)
        return
    if not rollout.ready:
        return
    cut_over(state, target, offer)


def cut_over(state: Pass, target: RevisionStatus, offer: Offer | None) -> None:
    """Make the target the active revision: note it on the object first, so that no crash forgets it."""
    active = target.model_copy(update={"since": state.now})
    text = json.dumps(active.dump(), sort_keys=True)
    body = {"metadata": {"annotations": {ACTIVE_ANNOTATION: text}}}
    state.draft.actions.append(Merge(MODEL, state.view.namespace, state.view.name, body))
    state.active, state.candidate = active, None
    if offer is not None:
        record(state, [promoted(offer, active, state.now)])


def serve(state: Pass, active: RevisionStatus) -> None:
    """Deployment, Service and autoscaler of the active revision as they should be."""
    view = state.view
    state.rollout = rollout_of(state, active.revision)
    state.routed = next((rollout_of(state, routed_to(service)) for service in view.services), None)
    if state.rollout is None:
        deploy(state, active, smallest(view.spec))
    elif view.spec.serving.autoscaling is None and state.rollout.replicas != smallest(view.spec):
        resize(state, state.rollout, smallest(view.spec))
    owner = dict(view.owner)
    service = build_service(view.namespace, view.name, view.uid, active.revision, owner)
    ensure(state, SERVICE, view.services, service)
    scaling = view.spec.serving.autoscaling
    if scaling is not None:
        body = build_autoscaler(view.namespace, view.name, view.uid, scaling, active.revision, owner)
        ensure(state, AUTOSCALER, view.autoscalers, body)
    else:
        state.draft.actions.extend(
            Delete(AUTOSCALER, view.namespace, scaler["metadata"]["name"], scaler["metadata"]["uid"])
            for scaler in view.autoscalers
        )


def ensure(state: Pass, kind: Any, held: Sequence[Object], body: Object) -> None:
    """Apply the body unless what is observed covers it."""
    mine = next((obj for obj in held if obj["metadata"]["name"] == body["metadata"]["name"]), None)
    if mine is None or not covers(mine["spec"], body["spec"]):
        state.draft.actions.append(Apply(kind, body))


def deploy(state: Pass, revision: RevisionStatus, replicas: int) -> None:
    """Create the Deployment of a revision."""
    view = state.view
    body = build_deployment(
        view.namespace, view.name, view.uid, view.spec, artifact_of(revision), revision.revision, replicas,
        state.settings, dict(view.owner),
    )  # fmt: skip
    state.draft.actions.append(Create(DEPLOYMENT, body))


def resize(state: Pass, rollout: Rollout, replicas: int) -> None:
    """Set the number of pods, through the scale subresource: the rest of the Deployment is never touched."""
    view = state.view
    name = rollout.deployment["metadata"]["name"]
    state.draft.actions.append(Merge(DEPLOYMENT, view.namespace, name, {"spec": {"replicas": replicas}}, "scale"))


def size_wanted(state: Pass) -> int:
    """A candidate reaches the incumbent's size, which its autoscaler may have raised."""
    incumbent = rollout_of(state, state.active.revision) if state.active else None
    return max(smallest(state.view.spec), incumbent.replicas if incumbent else 0)


def smallest(spec: DistilledModelSpec) -> int:
    """The number of pods asked for, or the autoscaler's minimum."""
    if spec.serving.autoscaling is not None:
        return spec.serving.autoscaling.min_replicas
    return spec.serving.replicas or 1


def rollout_of(state: Pass, revision: str) -> Rollout | None:
    """How the Deployment of a revision fares."""
    name = deployment_name(state.view.name, revision)
    found = next((obj for obj in state.view.deployments if obj["metadata"]["name"] == name), None)
    return observe_rollout(found, state.view.pods) if found else None


def clear_away(state: Pass) -> None:
    """Delete revisions that neither serve nor are about to, some time after the cut-over."""
    keep = {revision.revision for revision in (state.active, state.candidate) if revision}
    stale = [obj for obj in state.view.deployments if obj["metadata"]["labels"].get(REVISION) not in keep]
    if stale and state.active is not None:
        left = LINGER - seconds_between(state.active.since, state.now)
        # Routes must have moved: while the Service is seen to select another revision, nothing goes.
        wanted = selector(state.view.name, state.active.revision)
        moved = any(service["spec"].get("selector") == wanted for service in state.view.services)
        if left > 0 or not moved:
            state.requeue_after = max(left, 1.0)
            return
    state.draft.actions.extend(delete(obj) for obj in stale)


def note_refusals(state: Pass) -> None:
    """Tell what Kubernetes does not take of what is wanted; a child that is not wanted any more hinders nothing."""
    names = [action.body["metadata"]["name"] for action in state.draft.actions if isinstance(action, Create | Apply)]
    for failure in (state.view.refused[name] for name in names if name in state.view.refused):
        if failure.reason == NOT_WRITTEN:
            state.delayed = failure.reason, failure.message  # the pass fails over it, and comes again
        else:
            state.stalled = failure.reason, failure.message
            state.requeue_after = min(state.requeue_after or RETRY_REFUSED, RETRY_REFUSED)


def unaddressed(state: Pass) -> bool:
    """Whether callers of the model's name reach nothing, or something else: the Service cannot be made ours."""
    return not state.view.services and bool(state.stalled or state.delayed)


def delete(deployment: Object) -> Delete:
    """Delete that Deployment."""
    metadata = deployment["metadata"]
    return Delete(DEPLOYMENT, metadata["namespace"], metadata["name"], metadata["uid"])


def finished_plan(state: Pass) -> Plan:
    """The plan, with the whole status."""
    view = state.view
    chosen = state.active
    status = DistilledModelStatus(
        observed_generation=view.generation,
        conditions=model_conditions(state, view.status.conditions),
        active=chosen,
        candidate=state.candidate,
        history=state.history,
        url=f"http://{view.name}.{view.namespace}.svc" if chosen and not unaddressed(state) else None,
        replicas=state.rollout.ready_replicas if state.rollout else 0,
        selector=",".join(f"{k}={v}" for k, v in sorted(selector(view.name, chosen.revision).items()))
        if chosen
        else None,
    )
    return Plan(
        status=status.dump(), actions=tuple(state.draft.actions), notes=tuple(state.draft.notes),
        requeue_after=state.requeue_after,
    )  # fmt: skip
