"""CoreDNS, metrics-server, the image registry and the object store: plain processes beside the node.

They listen on the node's address, so that pods, the node and the host all reach them under one name.
"""

from __future__ import annotations

import http.client
import json
from pathlib import Path

import settings
from api import kubectl
from certificates import write_private
from components import Plan, create_kubeconfig
from settings import (
    GRPC_OFFSET,
    METRICS_SERVER_PORT,
    NODE_ADDRESS,
    REGISTRY_PORT,
    ROOT,
    RUN,
    S3_FILER_PORT,
    S3_MASTER_PORT,
    S3_PORT,
    S3_VOLUME_PORT,
)

DNS_READY_PORT = 8181
METRICS_HOST = "metrics-server.kube-system.svc"


def write_settings(plan: Plan) -> None:
    create_kubeconfig(plan, "coredns", "/O=system:masters/CN=coredns")
    create_kubeconfig(plan, "metrics-server", "/O=system:masters/CN=metrics-server")
    plan.authority.issue("metrics-server-serving", "/CN=metrics-server", f"DNS:{METRICS_HOST}")
    write_private(ROOT / "Corefile", corefile(plan))
    write_private(ROOT / "registry.json", json.dumps(registry_configuration()))
    write_private(ROOT / "s3-identities.json", json.dumps(s3_identities()))
    settings.REGISTRY_DATA.mkdir(parents=True, exist_ok=True)
    (ROOT / "s3").mkdir(exist_ok=True)


def corefile(plan: Plan) -> str:
    """The cluster's names, and for all others, which cannot be reached, an answer that ends the wait."""
    return f"""\
cluster.local:53 in-addr.arpa:53 {{
  bind {NODE_ADDRESS}
  errors
  ready {NODE_ADDRESS}:{DNS_READY_PORT}
  kubernetes cluster.local in-addr.arpa {{
    kubeconfig {plan.component_kubeconfig("coredns")}
  }}
  cache 5
}}
.:53 {{
  bind {NODE_ADDRESS}
  template IN ANY . {{
    rcode NXDOMAIN
  }}
}}
"""


def coredns_command(tools: Path) -> list[str]:
    return [str(tools / "coredns"), "-conf", f"{ROOT}/Corefile"]


def registry_configuration() -> dict[str, object]:
    return {
        "version": 0.1,
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        "storage": {
            "filesystem": {"rootdirectory": str(settings.REGISTRY_DATA)},
            "delete": {"enabled": True},
        },
        "http": {"addr": f"{NODE_ADDRESS}:{REGISTRY_PORT}"},
    }


def registry_command() -> list[str]:
    return ["/usr/bin/docker-registry", "serve", f"{ROOT}/registry.json"]


def s3_identities() -> dict[str, object]:
    key = {"accessKey": settings.S3_ACCESS_KEY, "secretKey": settings.S3_SECRET_KEY}
    actions = ["Admin", "Read", "List", "Tagging", "Write"]
    return {"identities": [{"name": "distillery", "credentials": [key], "actions": actions}]}


def s3_command(tools: Path) -> list[str]:
    """Every port is named: SeaweedFS ends at once if a default one is taken."""
    return [
        str(tools / "weed"),
        "-logtostderr=true",
        "server",
        f"-dir={ROOT}/s3",
        f"-ip={NODE_ADDRESS}",
        f"-ip.bind={NODE_ADDRESS}",
        f"-master.port={S3_MASTER_PORT}",
        f"-master.port.grpc={S3_MASTER_PORT + GRPC_OFFSET}",
        "-master.volumeSizeLimitMB=1024",
        f"-volume.port={S3_VOLUME_PORT}",
        f"-volume.port.grpc={S3_VOLUME_PORT + GRPC_OFFSET}",
        "-volume.max=500",  # a new bucket takes seven volumes, and the default allows eight in all
        f"-filer.port={S3_FILER_PORT}",
        f"-filer.port.grpc={S3_FILER_PORT + GRPC_OFFSET}",
        f"-filer.localSocket={RUN}/s3-filer.sock",
        "-s3",
        f"-s3.port={S3_PORT}",
        f"-s3.port.grpc={S3_PORT + GRPC_OFFSET}",
        f"-s3.localSocket={RUN}/s3.sock",
        f"-s3.config={ROOT}/s3-identities.json",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-master.telemetry=false",
    ]


def metrics_server_command(tools: Path, plan: Plan) -> list[str]:
    pki = plan.authority.folder
    kubeconfig = plan.component_kubeconfig("metrics-server")
    return [
        str(tools / "metrics-server"),
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        f"--bind-address={NODE_ADDRESS}",
        f"--secure-port={METRICS_SERVER_PORT}",
        f"--tls-cert-file={pki}/metrics-server-serving.crt",
        f"--tls-private-key-file={pki}/metrics-server-serving.key",
        "--kubelet-preferred-address-types=InternalIP",
        f"--kubelet-certificate-authority={pki}/ca.crt",
        "--metric-resolution=10s",
        "--kubelet-request-timeout=5s",
    ]


def metrics_manifests(authority: str) -> dict[str, object]:
    """A Service without selector whose one endpoint is the process, and the API that it serves.

    `authority` is the base64 of the PEM certificate that signed the server's.
    """
    name = {"name": "metrics-server", "namespace": "kube-system"}
    port = {"name": "https", "port": 443, "targetPort": METRICS_SERVER_PORT}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": name, "spec": {"ports": [port]}}
    endpoints = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {**name, "labels": {"kubernetes.io/service-name": "metrics-server"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [NODE_ADDRESS], "conditions": {"ready": True}}],
        "ports": [{"name": "https", "port": METRICS_SERVER_PORT, "protocol": "TCP"}],
    }
    api = {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": "v1beta1.metrics.k8s.io"},
        "spec": {
            "group": "metrics.k8s.io",
            "version": "v1beta1",
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
            "service": {**name, "port": 443},
            "caBundle": authority,
        },
    }
    return {"apiVersion": "v1", "kind": "List", "items": [service, endpoints, api]}


def register_metrics_api(tools: Path, kubeconfig: Path, authority: str) -> None:
    manifests = json.dumps(metrics_manifests(authority))
    kubectl(tools, kubeconfig, "apply", "--server-side", "-f", "-", stdin=manifests)


def s3_is_ready() -> bool:
    """Whether the gateway answers and the master has a volume to write to, which it learns a moment later."""
    return answers(S3_PORT, "/healthz") and answers(S3_MASTER_PORT, "/dir/assign")


def answers(port: int, path: str) -> bool:
    """Whether an HTTP server at this port of the node says 200."""
    connection = http.client.HTTPConnection(NODE_ADDRESS, port, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
