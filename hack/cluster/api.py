"""Questions and requests to an API server."""

from __future__ import annotations

import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from components import Plan
from errors import ClusterError
from processes import wait_until


def is_ready(plan: Plan) -> bool:
    """Whether the API server says so itself (its bootstrap roles make /readyz public)."""
    context = ssl.create_default_context(cafile=str(plan.authority.certificate))
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    try:
        with opener.open(f"{plan.server}/readyz", timeout=2):
            return True
    except (urllib.error.URLError, OSError):
        return False


def kubectl(tools: Path, kubeconfig: Path, *arguments: str, stdin: str | None = None) -> str:
    """Run kubectl against this kubeconfig alone and return its output."""
    command = [str(tools / "kubectl"), f"--kubeconfig={kubeconfig}", *arguments]
    result = subprocess.run(command, capture_output=True, text=True, input=stdin, check=False)
    if result.returncode:
        raise ClusterError(f"`kubectl {' '.join(arguments)}` failed: {result.stderr.strip()}")
    return result.stdout


def succeeds(tools: Path, kubeconfig: Path, *arguments: str) -> bool:
    try:
        kubectl(tools, kubeconfig, *arguments)
    except ClusterError:
        return False
    return True


def wait_for_default_account(tools: Path, kubeconfig: Path, check: Callable[[], None]) -> None:
    """Without the ServiceAccount `default` no pod can be created."""
    account = ["--namespace=default", "get", "serviceaccount", "default"]
    what = "the namespace `default` has its ServiceAccount"
    wait_until(what, lambda: succeeds(tools, kubeconfig, *account), 60, check)
