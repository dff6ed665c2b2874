"""Jobs of the stages: pure functions of the job's spec, its snapshot and what earlier stages made."""

from collections.abc import Iterator
from typing import Any

from distillery_api.chat_server import API_KEY, ChatServer
from distillery_api.digests import canonical
from distillery_api.distillationjob import DistillationJobSpec
from distillery_api.distillationjob_status import Artifacts, Resolved
from distillery_api.exits import OUT_OF_MEMORY, PERMANENT, STOPPED
from distillery_api.judge import JUDGE_API_KEY
from distillery_api.pods import EvaluateStage
from distillery_api.run import (
    PROGRESS_PORT,
    RUN_ANNOTATION,
    ArtifactRef,
    CompressRun,
    EvaluateRun,
    JobRef,
    LabelRun,
    PreflightRun,
    Run,
    TrainRun,
)
from distillery_api.sources import ModelSource, at_revision
from distillery_api.student import Student
from distillery_api.teachers import Teacher

from .names import ATTEMPT, JOB, QUEUE, QUEUE_PRIORITY, STAGE, owner_labels, stage_job
from .pod_groups import first_node, indexed, train_service_name
from .pod_manifests import (
    CONTAINER_SECURITY,
    KEY_MOUNT,
    POD_SECURITY,
    claims_of,
    credentials,
    key_volume,
    mounts,
    tolerations,
    volumes,
)
from .settings import Settings


def build_run(
    stage: str, attempt: int, job: JobRef, spec: DistillationJobSpec, resolved: Resolved,
    made: Artifacts, incumbent: ArtifactRef | None,
) -> Run:  # fmt: skip
    """What the stage's pod is told. Digests that preflight found pin the inputs from then on."""
    common: dict[str, Any] = {
        "job": job, "attempt": attempt, "storage": spec.storage.uri, "task": spec.task, "dataset": spec.dataset,
        "soft_labels": spec.soft_labels,
        "teachers": pinned_teachers(spec.teachers, made), "tokenizer": tokenizer_of(spec, made),
    }  # fmt: skip
    recipe: dict[str, Any] = {
        "student": pinned_student(spec.student, made),
        "objective": spec.objective,
        "training": spec.training,
    }
    if stage == "preflight":
        return PreflightRun(**common, **recipe, gate=resolved.gate)
    keys: dict[str, Any] = {"labels_key": made.labels_key, "student_key": made.student_key}
    if stage == "label":
        return LabelRun(**common, labels_key=keys["labels_key"] or "")
    if stage == "train":
        return TrainRun(**common, **recipe, **keys)
    if stage == "compress":
        return CompressRun(**common, **keys)
    return EvaluateRun(
        **common, student_key=made.student_key or "", incumbent=incumbent,
        gate=resolved.gate, report=spec.report,
        artifact=ArtifactRef(uri=made.artifact_uri or "", digest=made.artifact_digest or ""),
    )  # fmt: skip


def pinned_teachers(teachers: list[Teacher], made: Artifacts) -> list[Teacher]:
    """The teachers, each folder at the revision and with the digest that preflight found for it."""
    alone = {teachers[0].name: made.teacher_digest} if made.teacher_digest else {}
    found = made.teacher_digests or alone
    revisions = made.teacher_revisions or {}

    def pin(teacher: Teacher) -> Teacher:
        if teacher.model is None:
            return teacher
        model = pinned(teacher.model, found.get(teacher.name), revisions.get(teacher.name))
        return teacher.model_copy(update={"model": model})

    return [pin(teacher) for teacher in teachers]


def pinned_student(student: Student, made: Artifacts) -> Student:
    """The student at the revision and with the digest that preflight found for its given model."""
    if student.model is None:
        return student
    model = pinned(student.model, made.student_model_digest, made.student_model_revision)
    return student.model_copy(update={"model": model})


def tokenizer_of(spec: DistillationJobSpec, made: Artifacts) -> ModelSource | None:
    """The student's own folder, pinned, where no teacher has one."""
    if any(teacher.model for teacher in spec.teachers):
        return None
    return pinned_student(spec.student, made).model


def pinned(source: ModelSource, found: str | None, revision: str | None) -> ModelSource:
    """The folder at that revision of its repository, with the digest that the spec gives or preflight found."""
    uri = at_revision(source.uri, revision) if revision else source.uri
    return ModelSource(uri=uri, digest=source.digest or found)


def build_stage_job(
    run: Run, spec: DistillationJobSpec, resolved: Resolved, settings: Settings, owner: dict[str, Any], crashes: int
) -> dict[str, Any]:
    """The Job of one attempt of a stage: created once, never changed. `crashes`: of pods of earlier attempts."""
    stage: EvaluateStage = getattr(spec.stages, run.stage)
    name = stage_job(run.job.name, run.job.uid, run.stage, run.attempt)
    labels = {
        **owner_labels(JOB, run.job.name, run.job.uid),
        STAGE: run.stage,
        ATTEMPT: str(run.attempt),
    }
    group = spec.training.nodes if run.stage == "train" else 1
    body: dict[str, Any] = {
        # Of a group, one pod that fails takes the others with it.
        "backoffLimit": max(0, stage.retries.infrastructure * group - crashes),
        "podFailurePolicy": {
            "rules": [
                # Eviction, preemption and drained nodes are not the stage's fault.
                {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
                # Nor is being stopped: a pod that somebody deletes carries no condition, and would count as a failure.
                {"action": "Ignore", "onExitCodes": on_exit(STOPPED)},
                # A wrong input gives the same answer every time; more memory is for us to decide.
                {"action": "FailJob", "onExitCodes": on_exit(PERMANENT, OUT_OF_MEMORY)},
            ]
        },
        "template": {
            "metadata": {"labels": labels, "annotations": {RUN_ANNOTATION: canonical(run.dump()).decode()}},
            "spec": pod_spec(run, spec, resolved, settings),
        },
    }
    body |= indexed(spec, run.stage)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "namespace": run.job.namespace,
            "labels": labels | queue_labels(spec),
            "ownerReferences": [owner],
        },
        "spec": body,
    }


def on_exit(*codes: int) -> dict[str, Any]:
    """The worker container's exit codes that a rule of podFailurePolicy is for."""
    return {"containerName": "worker", "operator": "In", "values": list(codes)}


def queue_labels(spec: DistillationJobSpec) -> dict[str, str]:
    """What Kueue reads on a Job."""
    wanted = {QUEUE: spec.queue_name, QUEUE_PRIORITY: spec.queue_priority_class_name}
    return {label: value for label, value in wanted.items() if value}


def pod_spec(run: Run, spec: DistillationJobSpec, resolved: Resolved, settings: Settings) -> dict[str, Any]:
    """The pod of a stage."""
    stage: EvaluateStage = getattr(spec.stages, run.stage)
    data = run.dataset
    given = spec.student.model.uri if spec.student.model else None
    folders = [teacher.model.uri for teacher in run.teachers if teacher.model]
    claims = claims_of(run.storage, *folders, given, data.train, data.unlabelled, data.test)
    pod: dict[str, Any] = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": POD_SECURITY,
        "terminationGracePeriodSeconds": 60,  # a checkpoint of a large student takes a while to write
        "containers": [
            {
                "name": "worker",
                "image": getattr(resolved.images, run.stage),
                "imagePullPolicy": settings.pods.image_pull_policy,
                "securityContext": CONTAINER_SECURITY,
                "resources": resources(stage, resolved.gpu_resource),
                "env": [{"name": "HOME", "value": "/tmp"}, *api_keys(run)],  # noqa: S108
                "envFrom": credentials(spec.storage.secret_ref.name if spec.storage.secret_ref else None),
                "ports": [{"name": "progress", "containerPort": PROGRESS_PORT}],
                "terminationMessagePolicy": "FallbackToLogsOnError",
                "volumeMounts": mounts(claims),
            }
        ],
        "volumes": volumes(claims),
    }
    if run.stage == "train" and spec.training.nodes > 1:
        pod["subdomain"] = train_service_name(run.job)
        pod["containers"][0]["env"].append({"name": "MASTER_ADDR", "value": first_node(run.job, run.attempt)})
    if isinstance(run, EvaluateRun) and run.report.signing:
        pod["volumes"].append(key_volume(run.report.signing.secret_name))
        pod["containers"][0]["volumeMounts"].append(KEY_MOUNT)
    if spec.priority_class_name:
        pod["priorityClassName"] = spec.priority_class_name
    if stage.service_account_name:
        pod["serviceAccountName"] = stage.service_account_name
    if stage.node_selector:
        pod["nodeSelector"] = stage.node_selector
    if stage.tolerations:
        pod["tolerations"] = tolerations(stage.tolerations)
    if settings.pods.image_pull_secrets:
        pod["imagePullSecrets"] = [{"name": name} for name in settings.pods.image_pull_secrets]
    return pod


def api_keys(run: Run) -> list[dict[str, Any]]:
    """Keys of the servers that a stage asks; a stage that finds one missing says which."""
    return [
        {
            "name": variable,
            "valueFrom": {"secretKeyRef": {"name": server.secret_ref.name, "key": API_KEY, "optional": True}},
        }
        for variable, server in asked_servers(run)
        if server.secret_ref
    ]


def asked_servers(run: Run) -> Iterator[tuple[str, ChatServer]]:
    """The chat servers that a stage asks, each after the environment variable of its key."""
    # What an endpoint has written is judged by a folder: evaluate asks for labels alone.
    if run.stage in ("preflight", "label") or (run.stage == "evaluate" and run.soft_labels.kind != "text"):
        yield from ((teacher.api_key_variable, teacher.endpoint) for teacher in run.teachers if teacher.endpoint)
    answers = run.dataset.wanted_filters.answers
    if run.stage in ("preflight", "label") and answers and answers.judge:
        yield JUDGE_API_KEY, answers.judge.endpoint


def resources(stage: EvaluateStage, gpu_resource: str) -> dict[str, Any]:
    """Requests and limits, with the GPUs under the cluster's name for them."""
    asked = stage.resources.dump() if stage.resources else {}
    if stage.gpus:
        asked["limits"] = {**asked.get("limits", {}), gpu_resource: stage.gpus}
    return {key: value for key, value in asked.items() if value}
