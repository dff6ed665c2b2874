"""Kueue's real controller as a process beside a control plane, with webhooks by URL and certificates of its own."""

import json
import urllib.request
from pathlib import Path
from typing import Any

import processes
import yaml
from api import kubectl
from certificates import Authority, encoded, openssl
from controlplane import DIE_WITH_PARENT, free_ports
from kueue import CRDS, WEBHOOKS, ensure_kueue
from tools import ensure_tools

NAMESPACE = "kueue-system"
SERVICE, SECRET = "kueue-webhook-service", "kueue-webhook-server-cert"  # Kueue's own names for them
# Kueue writes its authority into these, and does not start where they name no webhook.
CONVERTED = ("localqueues", "clusterqueues", "workloads", "cohorts", "multikueueclusters")
SERVED = ("-batch-v1-job", "-kueue-x-k8s-io-")  # in the paths of webhooks that a Kueue for Jobs alone answers
START_SECONDS = 60


class KueueController:
    """One Kueue in `folder`: `crds` before the control plane starts, `install` after it, then `start` and `stop`."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.programs = folder, ensure_kueue()
        self.webhook_port, self.health_port = free_ports(2)
        self.authority = Authority(folder)
        self._create_certificates()
        self._process: processes.Identity | None = None

    def crds(self) -> Path:
        """The file of Kueue's CRDs."""
        crds = [crd for crd in yaml.load_all((self.programs / CRDS).read_text(), yaml.CSafeLoader) if crd]
        for crd in crds:
            if crd["spec"]["names"]["plural"] in CONVERTED:
                webhook = {"clientConfig": self._client("/convert"), "conversionReviewVersions": ["v1"]}
                crd["spec"]["conversion"] = {"strategy": "Webhook", "webhook": webhook}
        path = self.folder / "crds.json"
        path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": crds}))
        return path

    def install(self, kubeconfig: Path) -> None:
        """Namespace, certificates and webhooks."""
        names = {"tls.crt": "tls.crt", "tls.key": "tls.key", "ca.crt": "ca.crt", "ca.key": "ca.key"}
        secret = {
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": SECRET, "namespace": NAMESPACE},
            "stringData": {key: (self.folder / name).read_text() for key, name in names.items()},
        }  # fmt: skip
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
        text = yaml.safe_dump_all([namespace, secret, *self._webhooks()])
        kubectl(ensure_tools(), kubeconfig, "apply", "--server-side", "-f", "-", stdin=text)

    def start(self, kubeconfig: Path, *, manage_all: bool) -> None:
        """Start it and wait until its webhooks answer. `manage_all`: manageJobsWithoutQueueName."""
        config = self.folder / "config.json"
        config.write_text(json.dumps(self._configuration(manage_all)))
        program, log = str(self.programs / "kueue"), self.folder / "kueue.log"
        command = [program, f"--config={config}", f"--kubeconfig={kubeconfig}"]
        process = processes.start(command, program=program, log=log, prefix=DIE_WITH_PARENT)
        self._process = process
        processes.wait_until(
            "Kueue is ready", self._is_ready, START_SECONDS,
            lambda: processes.require_running({"kueue": process}, self.folder),
        )  # fmt: skip

    def stop(self) -> None:
        """Kill it; a later start goes on from what the API server holds."""
        if self._process:
            processes.stop([self._process], grace_seconds=0)

    def _create_certificates(self) -> None:
        """Kueue takes over the authority that it finds, where it is as one of its own making would be."""
        key, certificate = self.authority.key, self.authority.certificate
        openssl("genrsa", "-traditional", "-out", str(key), "2048")
        openssl("req", "-x509", "-key", str(key), "-days", "365", "-subj", "/O=kueue/CN=kueue-ca",
                "-addext", "subjectAltName=DNS:kueue-ca", "-out", str(certificate))  # fmt: skip
        self.authority.issue("tls", f"/CN={SERVICE}", f"DNS:{SERVICE}.{NAMESPACE}.svc,IP:127.0.0.1")

    def _client(self, path: str) -> dict[str, str]:
        authority = self.authority.certificate.read_bytes()
        return {"url": f"https://127.0.0.1:{self.webhook_port}{path}", "caBundle": encoded(authority)}

    def _webhooks(self) -> list[dict[str, Any]]:
        configurations = list(yaml.load_all((self.programs / WEBHOOKS).read_text(), yaml.CSafeLoader))
        for configuration in configurations:
            configuration["metadata"]["name"] = f"kueue-{configuration['metadata']['name']}"
            paths = {
                webhook["name"]: webhook["clientConfig"]["service"]["path"] for webhook in configuration["webhooks"]
            }
            configuration["webhooks"] = [
                webhook | {"clientConfig": self._client(paths[webhook["name"]])}
                for webhook in configuration["webhooks"]
                if any(part in paths[webhook["name"]] for part in SERVED)
            ]
        return configurations

    def _configuration(self, manage_all: bool) -> dict[str, Any]:
        return {
            "apiVersion": "config.kueue.x-k8s.io/v1beta2", "kind": "Configuration", "namespace": NAMESPACE,
            "health": {"healthProbeBindAddress": f"127.0.0.1:{self.health_port}"},
            "metrics": {"bindAddress": "0"},
            "webhook": {"host": "127.0.0.1", "port": self.webhook_port, "certDir": str(self.folder)},
            "leaderElection": {"leaderElect": False},
            "integrations": {"frameworks": ["batch/job"]},
            "manageJobsWithoutQueueName": manage_all,
            "featureGates": {"VisibilityOnDemand": False},  # it would write to /visibility
        }  # fmt: skip

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.health_port}/readyz", timeout=2):
                return True
        except OSError:
            return False
