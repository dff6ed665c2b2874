"""Spec and chart defaults to the snapshot that runs."""

from distillery_api.digests import digest_of
from distillery_api.distillationjob import DistillationJobSpec
from distillery_api.distillationjob_status import Resolved, ResolvedImages
from distillery_api.distilledmodel import DistilledModelSpec
from distillery_api.gate import GateSpec, default_metric
from distillery_api.schema import Failure

from .settings import Settings


def effective_gate(job: GateSpec, model: GateSpec | None) -> GateSpec:
    """The stricter value of each criterion: a job may tighten its model's gate, never loosen it."""
    return job if model is None else job.stricter(model)


def other_metric(spec: DistillationJobSpec, model: DistilledModelSpec | None) -> Failure | None:
    """Why a job may not be judged by its metric: of two, none is stricter, and the model's gate is the floor."""
    asked, default = spec.gate.metric, default_metric(spec.task)
    if model is None or asked is None or asked == (model.promotion.gate.metric or default):
        return None
    name = spec.promote_to.name if spec.promote_to else ""
    return Failure(
        reason="GateInput",
        message=f"gate.metric: the job asks for {asked}, and the gate of DistilledModel {name} for"
        f" {model.promotion.gate.metric or default}; remove it from the job, or set it in the model's gate",
    )


def resolve(spec: DistillationJobSpec, model: DistilledModelSpec | None, settings: Settings) -> Resolved:
    """The snapshot: images, resource names and the effective gate, with a hash over them and the spec."""
    images = ResolvedImages(
        preflight=spec.stages.preflight.image or settings.worker_image,
        label=spec.stages.label.image or settings.worker_image,
        train=spec.stages.train.image or settings.worker_image,
        compress=spec.stages.compress.image or settings.worker_image,
        evaluate=settings.worker_image,
    )
    gate = effective_gate(spec.gate, model.promotion.gate if model else None)
    content = {
        "spec": spec.dump(),
        "images": images.dump(),
        "gpu": settings.gpu_resource,
        "gate": gate.dump(),
    }
    return Resolved(
        hash=digest_of(content),
        images=images,
        gpu_resource=settings.gpu_resource,
        gate=gate,
        gate_hash=gate.hash,
    )
