"""Parts that all pods of the operator's making share: run file, scratch space, security, volumes of claims."""

from typing import Any
from urllib.parse import urlsplit

from distillery_api.pods import Toleration
from distillery_api.reporting import SIGNING_FOLDER, SIGNING_KEY
from distillery_api.run import RUN_ANNOTATION, RUN_PATH

# Pod Security "restricted"; no runAsUser, so that the image's or the namespace's own range counts.
POD_SECURITY = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
CONTAINER_SECURITY = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
RUN_FOLDER, RUN_FILE = RUN_PATH.rsplit("/", 1)
CLAIMS = "/mnt/pvc"
KEY_MOUNT = {"name": "signing-key", "mountPath": SIGNING_FOLDER, "readOnly": True}


def claims_of(*uris: str | None) -> list[str]:
    """PersistentVolumeClaims that the uris name, each once, sorted."""
    return sorted({urlsplit(uri).netloc for uri in uris if uri and uri.startswith("pvc://")})


def volumes(claims: list[str]) -> list[dict[str, Any]]:
    """The run file, scratch space, and each claim."""
    run = {"path": RUN_FILE, "fieldRef": {"fieldPath": f"metadata.annotations['{RUN_ANNOTATION}']"}}
    return [
        {"name": "run", "downwardAPI": {"items": [run]}},
        {"name": "tmp", "emptyDir": {}},
        *({"name": f"claim-{i}", "persistentVolumeClaim": {"claimName": claim}} for i, claim in enumerate(claims)),
    ]


def mounts(claims: list[str]) -> list[dict[str, Any]]:
    """Mounts of `volumes`."""
    return [
        {"name": "run", "mountPath": RUN_FOLDER, "readOnly": True},
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - an emptyDir of the pod's own
        *({"name": f"claim-{i}", "mountPath": f"{CLAIMS}/{claim}"} for i, claim in enumerate(claims)),
    ]


def credentials(secret: str | None) -> list[dict[str, Any]]:
    """The Secret as environment variables; the kubelet reads it, the operator never does."""
    return [{"secretRef": {"name": secret}}] if secret else []


def key_volume(secret: str) -> dict[str, Any]:
    """The Secret's signing key as a file; a pod that finds it missing says so."""
    items = [{"key": SIGNING_KEY, "path": SIGNING_KEY}]
    return {"name": KEY_MOUNT["name"], "secret": {"secretName": secret, "items": items, "optional": True}}


def tolerations(wanted: list[Toleration]) -> list[dict[str, Any]]:
    """Tolerations without empty fields, which mean something else to Kubernetes than absent ones."""
    return [{key: value for key, value in each.dump().items() if value != ""} for each in wanted]
