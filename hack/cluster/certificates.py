"""A certificate authority made anew at each start, certificates signed by it, and kubeconfigs with them."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from errors import ClusterError

DAYS = 365
KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")  # an RSA key takes 20 times as long


@dataclass(frozen=True)
class Authority:
    """Certificates in one folder: `ca.crt`, `ca.key`, and `<name>.crt`, `<name>.key` for each issued."""

    folder: Path

    @property
    def certificate(self) -> Path:
        return self.folder / "ca.crt"

    @property
    def key(self) -> Path:
        return self.folder / "ca.key"

    @property
    def token_key(self) -> Path:
        """Signs the tokens of ServiceAccounts."""
        return self.folder / "service-accounts.key"

    @property
    def token_public_key(self) -> Path:
        return self.folder / "service-accounts.pub"

    def create(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        openssl("req", "-x509", *KEY, "-days", str(DAYS), "-subj", "/CN=distillery-ca",
                "-keyout", str(self.key), "-out", str(self.certificate))  # fmt: skip
        openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(self.token_key))
        openssl("ec", "-in", str(self.token_key), "-pubout", "-out", str(self.token_public_key))

    def issue(self, name: str, subject: str, names: str = "") -> tuple[Path, Path]:
        """Issue a certificate for `subject` (/O=…/CN=…) and `names` (IP:…,DNS:…); returns it and its key."""
        certificate, key = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        extensions = ["-addext", "extendedKeyUsage=serverAuth,clientAuth"]
        extensions += ["-addext", "basicConstraints=critical,CA:FALSE"]
        if names:
            extensions += ["-addext", f"subjectAltName={names}"]
        openssl("req", "-x509", *KEY, "-days", str(DAYS), "-subj", subject, *extensions,
                "-CA", str(self.certificate), "-CAkey", str(self.key),
                "-keyout", str(key), "-out", str(certificate))  # fmt: skip
        return certificate, key

    def kubeconfig(self, path: Path, server: str, name: str, subject: str) -> Path:
        """Issue a client certificate for `subject` and write a kubeconfig that carries it."""
        certificate, key = self.issue(name, subject)
        pems = (self.certificate.read_bytes(), certificate.read_bytes(), key.read_bytes())
        write_private(path, kubeconfig_text(server, *pems))
        return path


def kubeconfig_text(server: str, authority: bytes, certificate: bytes, key: bytes) -> str:
    """A kubeconfig with one context, as JSON (which every YAML reader reads); the arguments are PEM."""
    cluster = {"server": server, "certificate-authority-data": encoded(authority)}
    user = {"client-certificate-data": encoded(certificate), "client-key-data": encoded(key)}
    context = {"cluster": "distillery", "user": "distillery", "namespace": "default"}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "distillery", "cluster": cluster}],
        "users": [{"name": "distillery", "user": user}],
        "contexts": [{"name": "distillery", "context": context}],
        "current-context": "distillery",
    }
    return json.dumps(config, indent=1) + "\n"


def encoded(pem: bytes) -> str:
    return base64.b64encode(pem).decode()


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, at no moment otherwise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


def openssl(*arguments: str) -> None:
    result = subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=False)
    if result.returncode:
        raise ClusterError(f"`openssl {' '.join(arguments)}` failed:\n{result.stderr[-1000:]}")
