"""The embedded cluster with images and chart: what the demo and the end-to-end tests stand on."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from obstore.store import S3Store

ROOT = Path(__file__).resolve().parent.parent
SYSTEM = "distillery-system"
IMAGES = ("operator", "worker", "server")


@dataclass(frozen=True)
class Embedded:
    """A running embedded cluster."""

    env: dict[str, str]
    images: dict[str, str]  # name -> reference by digest

    def run(self, *command: str, stdin: str | None = None) -> str:
        """Run a program with the cluster's environment; CalledProcessError carries what it printed."""
        environment = {**os.environ, **self.env}
        done = subprocess.run(command, input=stdin, env=environment, text=True, capture_output=True, check=False)
        if done.returncode:
            sys.stderr.write(done.stdout + done.stderr)
            done.check_returncode()
        return done.stdout

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """kubectl against the embedded cluster alone."""
        return self.run("kubectl", *arguments, stdin=stdin)

    def get(self, *arguments: str) -> dict[str, Any]:
        """`kubectl get … -o json`."""
        found: dict[str, Any] = json.loads(self.kubectl("get", *arguments, "-o", "json"))
        return found

    def apply(self, *objects: dict[str, Any]) -> None:
        """`kubectl apply` of objects."""
        items = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self.kubectl("apply", "-f", "-", stdin=json.dumps(items))

    def install(self, *settings: str) -> None:
        """Install or upgrade the chart with these images; `settings` are further --set-json values."""
        chosen: list[str] = []
        for name in IMAGES:
            repository, digest = self.images[name].split("@")
            chosen += ["--set", f"images.{name}.repository={repository}", "--set", f"images.{name}.digest={digest}"]
        for setting in settings:
            chosen += ["--set-json", setting]
        self.run(
            "helm", "upgrade", "--install", "distillery", str(ROOT / "helm/distillery"), "--namespace", SYSTEM,
            "--create-namespace", "--wait", "--timeout", "3m", *chosen,
        )  # fmt: skip

    def namespace(self, name: str) -> None:
        """A namespace that enforces restricted pods and holds the storage credentials."""
        self.apply(
            {
                "apiVersion": "v1", "kind": "Namespace",
                "metadata": {"name": name, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
            },
            {
                "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "storage", "namespace": name},
                "stringData": self.credentials(),
            },
        )  # fmt: skip

    def credentials(self) -> dict[str, str]:
        """What workers and servers need to reach the object store."""
        keys = {name: self.env[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION")}
        return {**keys, "AWS_ENDPOINT_URL": self.env["S3_ENDPOINT"]}

    def empty(self, uri: str) -> None:
        """Delete everything under a prefix of the object store."""
        bucket, _, path = uri.removeprefix("s3://").partition("/")
        store = S3Store(
            bucket, prefix=path, endpoint=self.env["S3_ENDPOINT"], region=self.env["AWS_REGION"],
            access_key_id=self.env["AWS_ACCESS_KEY_ID"], secret_access_key=self.env["AWS_SECRET_ACCESS_KEY"],
            client_options={"allow_http": True},
        )  # fmt: skip
        for page in store.list():
            store.delete([entry["path"] for entry in page])

    def upload(self, size: str, uri: str) -> None:
        """Prepare the WordNet example (cached) and copy it into the object store."""
        ours = os.pathsep.join(str(ROOT / folder) for folder in ("crds", "storage"))
        environment = {**os.environ, **self.env, **self.credentials(), "HF_HUB_OFFLINE": "1", "PYTHONPATH": ours}
        subprocess.run(
            [sys.executable, ROOT / "examples/wordnet/prepare.py", "--size", size, "--upload", uri],
            env=environment, check=True, stdout=subprocess.DEVNULL,  # the path; what it is doing is on stderr
        )  # fmt: skip


def connect() -> Embedded:
    """Start the cluster and build what is missing; about a second when all is there."""
    cluster = [sys.executable, str(ROOT / "hack/cluster/cluster.py")]
    subprocess.run([*cluster, "up"], check=True, stdout=sys.stderr)
    env = json.loads(subprocess.run([*cluster, "env", "--json"], check=True, capture_output=True, text=True).stdout)
    built = subprocess.run([sys.executable, ROOT / "hack/images.py"], check=True, stdout=subprocess.PIPE, text=True)
    return Embedded(env=env, images=json.loads(built.stdout))
