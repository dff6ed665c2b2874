"""Objects of the store as the values that planning takes."""

from collections.abc import Mapping
from typing import Any

from distillery_api.distillationjob import DistillationJobSpec
from distillery_api.distillationjob_status import DistillationJobStatus, Progress
from distillery_api.distilledmodel import DistilledModelSpec, DistilledModelStatus
from distillery_api.run import JobRef
from distillery_api.schema import Failure
from pydantic import ValidationError

from . import job_pass, model_plan
from .names import ACTIVE_ANNOTATION, AUTOSCALER, BATCH_JOB, DEPLOYMENT, JOB, MODEL, POD, SERVICE
from .offers import Offer, Unreadable, decided_before
from .store import Key, Object, Store


def owner_reference(obj: Object) -> dict[str, Any]:
    """The controller reference that children carry: garbage collection follows it."""
    return {
        "apiVersion": obj["apiVersion"], "kind": obj["kind"], "name": obj["metadata"]["name"],
        "uid": obj["metadata"]["uid"], "controller": True, "blockOwnerDeletion": True,
    }  # fmt: skip


def job_view(
    obj: Object, store: Store, progress: Mapping[str, Progress], refused: Mapping[str, Failure],
    words: job_pass.Words, created: str | None = None,
) -> job_pass.JobView:  # fmt: skip
    """A DistillationJob. Raises ValueError (pydantic) when the spec is not one of ours."""
    metadata = obj["metadata"]
    spec = DistillationJobSpec.model_validate(obj["spec"])
    model, model_unreadable = target_model(metadata["namespace"], spec, store)
    return job_pass.JobView(
        ref=JobRef(namespace=metadata["namespace"], name=metadata["name"], uid=metadata["uid"]),
        owner=owner_reference(obj),
        generation=metadata["generation"],
        spec=spec,
        status=DistillationJobStatus.model_validate(obj.get("status", {})),
        jobs=store.owned(BATCH_JOB, metadata["uid"]),
        pods=store.owned(POD, metadata["uid"]),
        refused=refused,
        model=model,
        model_unreadable=model_unreadable,
        progress=progress,
        words=words,
        created=created,
    )


def target_model(
    namespace: str, spec: DistillationJobSpec, store: Store
) -> tuple[job_pass.ModelView | None, str | None]:
    """The model that the job promotes to, or why it cannot be read."""
    obj = store.get(MODEL, (namespace, spec.promote_to.name)) if spec.promote_to else None
    if obj is None:
        return None, None
    try:
        status = DistilledModelStatus.model_validate(obj.get("status", {}))
        active = status.active or model_plan.remembered(obj["metadata"].get("annotations", {}))
        return job_pass.ModelView(DistilledModelSpec.model_validate(obj["spec"]), active), None
    except ValidationError as error:
        return None, why_unreadable(error)


def why_unreadable(error: ValidationError) -> str:
    """The first field that this version's schema cannot read, and why."""
    first = error.errors(include_url=False)[0]
    return ": ".join(filter(None, [".".join(map(str, first["loc"])), first["msg"]]))


def model_view(obj: Object, store: Store, refused: Mapping[str, Failure]) -> model_plan.ModelView:
    """A DistilledModel and the finished jobs that promote to it."""
    metadata = obj["metadata"]
    uid, status = metadata["uid"], DistilledModelStatus.model_validate(obj.get("status", {}))
    offers = offers_to((metadata["namespace"], metadata["name"]), store, decided_before(status.history))
    return model_plan.ModelView(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=uid,
        owner=owner_reference(obj),
        generation=metadata["generation"],
        annotations=metadata.get("annotations", {}),
        spec=DistilledModelSpec.model_validate(obj["spec"]),
        status=status,
        deployments=store.owned(DEPLOYMENT, uid),
        services=store.owned(SERVICE, uid),
        autoscalers=store.owned(AUTOSCALER, uid),
        pods=store.owned(POD, uid),
        offers=[offer for offer in offers if isinstance(offer, Offer)],
        unreadable=[offer for offer in offers if isinstance(offer, Unreadable)],
        refused=refused,
    )


def offers_to(model: Key, store: Store, since: str = "") -> list[Offer | Unreadable]:
    """Jobs that ended with a verdict, not before `since`, and name this model. Of thousands, most are decided."""
    jobs = (obj for obj in store.all(JOB) if promotes_to(obj) == model and judged(obj.get("status", {}), since))
    return [offer_of(job) for job in jobs]


def offer_of(job: Object) -> Offer | Unreadable:
    """What a judged job offers."""
    name, uid, status = job["metadata"]["name"], job["metadata"]["uid"], job["status"]
    try:
        spec = DistillationJobSpec.model_validate(job["spec"])
        return Offer(name, uid, spec, DistillationJobStatus.model_validate(status))
    except ValidationError as error:
        return Unreadable(name, uid, status["finishedAt"], why_unreadable(error))


def ended(job: Object) -> bool:
    """Whether a DistillationJob is over."""
    return "finishedAt" in job.get("status", {})


def read_by_jobs(model: Object | None) -> Object | None:
    """What planning a job reads of the model that it promotes to."""
    if model is None:
        return None
    annotation = model["metadata"].get("annotations", {}).get(ACTIVE_ANNOTATION)
    return {"spec": model["spec"], "active": model.get("status", {}).get("active"), "annotation": annotation}


def judged(status: Mapping[str, Any], since: str) -> bool:
    """Whether a job's status tells an end with a verdict, and not before that time."""
    return bool(status.get("finishedAt") and status["finishedAt"] >= since and status.get("verdict"))


def promotes_to(job: Object) -> Key | None:
    """Place of the model that a DistillationJob promotes to. Asked of every job, also of those that cannot be read."""
    target = job["spec"].get("promoteTo")
    name = target.get("name") if isinstance(target, Mapping) else None
    return (job["metadata"]["namespace"], name) if name else None
