"""Installs what the cluster takes from Debian, without letting a package start its daemon."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from errors import ClusterError

PACKAGES = (
    "containerd", "runc", "containernetworking-plugins", "nftables", "iptables", "iproute2", "util-linux",
    "openssl", "docker-registry", "python3-pip",
    "buildah", "mmdebstrap",  # images
    "prometheus",  # promtool checks the rules, prometheus reads the metrics
    "lua5.1",  # runs Argo CD's health scripts
    "wordnet-base",  # the example's data
)  # fmt: skip
POLICY = Path("/usr/sbin/policy-rc.d")
OURS = "#!/bin/sh\n# Written while Distillery installs packages: no daemon is started.\nexit 101\n"


def install_missing(packages: Sequence[str] = PACKAGES) -> list[str]:
    """Install the packages that are missing and return their names."""
    present = installed(packages)
    missing = [name for name in packages if name not in present]
    if missing:
        apt("update", "-q")
        with daemons_kept_off():
            apt("install", "-q", "-y", "--no-install-recommends", *missing)
    return missing


def installed(packages: Sequence[str]) -> set[str]:
    query = ["dpkg-query", "--show", "--showformat=${Package} ${db:Status-Status}\\n", *packages]
    try:
        lines = subprocess.run(query, capture_output=True, text=True, check=False).stdout.splitlines()
    except FileNotFoundError as error:
        raise ClusterError("dpkg-query not found: the embedded cluster needs Debian 12") from error
    return {line.split()[0] for line in lines if line.endswith(" installed")}


def apt(*arguments: str) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    command = ["apt-get", "-o", "DPkg::Lock::Timeout=300", *arguments]
    result = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if result.returncode:
        raise ClusterError(f"`{' '.join(command)}` failed:\n{result.stdout[-1000:]}{result.stderr[-2000:]}")


@contextmanager
def daemons_kept_off(policy: Path = POLICY) -> Iterator[None]:
    """Deny every service start while open; the machine's own policy file is put back afterwards.

    A run that was killed in between leaves our policy and the saved one; the next run puts it right.
    """
    saved = policy.with_name(policy.name + ".distillery-saved")
    if policy.exists() and policy.read_text() != OURS:
        policy.rename(saved)
    policy.write_text(OURS)
    policy.chmod(0o755)
    try:
        yield
    finally:
        policy.unlink()
        if saved.exists():
            saved.rename(policy)
