"""Kubeconfigs carry all they need and are private."""

from __future__ import annotations

import base64
import json
import ssl
import stat
from pathlib import Path

from certificates import Authority, kubeconfig_text


def test_a_kubeconfig_has_one_context_and_refers_to_no_file() -> None:
    config = json.loads(kubeconfig_text("https://10.0.0.1:6443", b"authority", b"certificate", b"key"))
    assert config["current-context"] == config["contexts"][0]["name"]
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    assert cluster["server"] == "https://10.0.0.1:6443"
    assert base64.b64decode(cluster["certificate-authority-data"]) == b"authority"
    assert base64.b64decode(user["client-certificate-data"]) == b"certificate"
    assert base64.b64decode(user["client-key-data"]) == b"key"


def test_a_kubeconfig_is_private_and_its_certificate_usable(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "pki")
    authority.create()
    path = authority.kubeconfig(tmp_path / "kubeconfig", "https://127.0.0.1:1", "admin", "/CN=admin")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    context = ssl.create_default_context(cafile=str(authority.certificate))
    context.load_cert_chain(authority.folder / "admin.crt", authority.folder / "admin.key")
