"""Spec and chart defaults to the snapshot that runs."""

from distillery_api.digests import digest_of
from distillery_api.distillationjob import DistillationJobSpec, GateSpec
from distillery_api.distillationjob_status import Resolved, ResolvedImages
from distillery_api.distilledmodel import DistilledModelSpec

from .settings import Settings


def effective_gate(job: GateSpec, model: GateSpec | None) -> GateSpec:
    """The stricter value of each criterion: a job may tighten its model's gate, never loosen it."""
    if model is None:
        return job
    return GateSpec(
        min_retention=max(job.min_retention, model.min_retention),
        incumbent_margin=min(job.incumbent_margin, model.incumbent_margin),
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
