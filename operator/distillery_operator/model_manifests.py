"""Deployment, Service and autoscaler of a DistilledModel: pure functions of its spec and the student."""

from typing import Any

from distillery_api.digests import canonical, digest_of
from distillery_api.distilledmodel import Autoscaling, DistilledModelSpec
from distillery_api.run import RUN_ANNOTATION, SERVE_PORT, ArtifactRef, ServeRun

from .names import MODEL, REVISION, owner_labels
from .pod_manifests import (
    CONTAINER_SECURITY,
    POD_SECURITY,
    claims_of,
    credentials,
    mounts,
    tolerations,
    volumes,
)
from .settings import Settings

PROGRESS_DEADLINE = 600  # seconds in which a revision must become available
SERVICE_PORT = 80


def pod_template(
    namespace: str,
    name: str,
    spec: DistilledModelSpec,
    artifact: ArtifactRef,
    settings: Settings,
    revision: str = "",
) -> dict[str, Any]:
    """Annotations and spec of the server's pods; with no revision yet, what the revision is computed from."""
    serving = spec.serving
    run = ServeRun(
        namespace=namespace,
        model=name,
        revision=revision,
        artifact=artifact,
        drain_seconds=serving.drain_seconds,
    )
    claims = claims_of(artifact.uri)
    secret = serving.storage.secret_ref
    pod: dict[str, Any] = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": POD_SECURITY,
        # After the drain, answers in flight get 20 s more to leave.
        "terminationGracePeriodSeconds": serving.drain_seconds + 30,
        "containers": [
            {
                "name": "server",
                "image": settings.server_image,
                "imagePullPolicy": settings.pods.image_pull_policy,
                "securityContext": CONTAINER_SECURITY,
                "resources": {key: value for key, value in serving.resources.dump().items() if value},
                "env": [{"name": "HOME", "value": "/tmp"}],  # noqa: S108
                "envFrom": credentials(secret.name if secret else None),
                "ports": [{"name": "http", "containerPort": SERVE_PORT}],
                "startupProbe": probe("/v2/health/ready", period=1, failures=300),
                "readinessProbe": probe("/v2/health/ready", period=2, failures=2),
                "livenessProbe": probe("/v2/health/live", period=10, failures=3),
                "terminationMessagePolicy": "FallbackToLogsOnError",
                "volumeMounts": mounts(claims),
            }
        ],
        "volumes": volumes(claims),
    }
    if serving.service_account_name:
        pod["serviceAccountName"] = serving.service_account_name
    if serving.node_selector:
        pod["nodeSelector"] = serving.node_selector
    if serving.tolerations:
        pod["tolerations"] = tolerations(serving.tolerations)
    if settings.pods.image_pull_secrets:
        pod["imagePullSecrets"] = [{"name": secret_name} for secret_name in settings.pods.image_pull_secrets]
    scrape = {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": str(SERVE_PORT),
        "prometheus.io/path": "/metrics",
    }
    return {"annotations": {RUN_ANNOTATION: canonical(run.dump()).decode(), **scrape}, "spec": pod}


def probe(path: str, period: int, failures: int) -> dict[str, Any]:
    """An HTTP probe; times in seconds."""
    return {
        "httpGet": {"path": path, "port": "http"},
        "periodSeconds": period, "failureThreshold": failures, "timeoutSeconds": 3,
    }  # fmt: skip


def revision_of(namespace: str, name: str, spec: DistilledModelSpec, artifact: ArtifactRef, settings: Settings) -> str:
    """Ten hex digits over artifact and pod template: another student or another setting is another revision."""
    return digest_of(pod_template(namespace, name, spec, artifact, settings))[7:17]


def deployment_name(name: str, revision: str) -> str:
    """One Deployment for each revision."""
    return f"{name}-{revision}"


def selector(name: str, revision: str) -> dict[str, str]:
    """Labels that pick the pods of a revision."""
    return {
        "app.kubernetes.io/name": "distillery-server",
        "app.kubernetes.io/instance": name,
        REVISION: revision,
    }


def build_deployment(
    namespace: str, name: str, uid: str, spec: DistilledModelSpec, artifact: ArtifactRef, revision: str,
    replicas: int, settings: Settings, owner: dict[str, Any],
) -> dict[str, Any]:  # fmt: skip
    """The Deployment of a revision: created once; afterwards only its size changes."""
    labels = {**owner_labels(MODEL, name, uid), **selector(name, revision)}
    template = pod_template(namespace, name, spec, artifact, settings, revision)
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": deployment_name(name, revision), "namespace": namespace,
            "labels": labels, "ownerReferences": [owner],
        },
        "spec": {
            "replicas": replicas,
            "progressDeadlineSeconds": PROGRESS_DEADLINE,
            "revisionHistoryLimit": 0,
            "selector": {"matchLabels": selector(name, revision)},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "template": {
                "metadata": {"labels": labels, "annotations": template["annotations"]},
                "spec": template["spec"],
            },
        },
    }  # fmt: skip


def build_service(namespace: str, name: str, uid: str, revision: str, owner: dict[str, Any]) -> dict[str, Any]:
    """The stable address: it selects the pods of the active revision."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": name, "namespace": namespace, "labels": owner_labels(MODEL, name, uid), "ownerReferences": [owner],
        },
        "spec": {
            "selector": selector(name, revision),
            "ports": [{"name": "http", "port": SERVICE_PORT, "targetPort": "http", "protocol": "TCP"}],
        },
    }  # fmt: skip


def build_autoscaler(
    namespace: str, name: str, uid: str, scaling: Autoscaling, revision: str, owner: dict[str, Any]
) -> dict[str, Any]:
    """The HorizontalPodAutoscaler of the active Deployment."""
    cpu = {
        "name": "cpu",
        "target": {"type": "Utilization", "averageUtilization": scaling.target_cpu_utilization},
    }
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {
            "name": name, "namespace": namespace, "labels": owner_labels(MODEL, name, uid), "ownerReferences": [owner],
        },
        "spec": {
            "scaleTargetRef": {
                "apiVersion": "apps/v1", "kind": "Deployment", "name": deployment_name(name, revision),
            },
            "minReplicas": scaling.min_replicas,
            "maxReplicas": scaling.max_replicas,
            "metrics": [{"type": "Resource", "resource": cpu}],
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": scaling.scale_down_stabilization_seconds}},
        },
    }  # fmt: skip
