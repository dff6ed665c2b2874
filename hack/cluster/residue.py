"""Takes away whatever a cluster left, also one that was killed without warning.

Processes are found by membership, not only by recorded ids: whatever runs in the node's network namespace or
in the cluster's cgroup is the cluster's.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import signal
import socket
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import network
import processes
import record
import sysctls
from processes import PROC
from settings import (
    CGROUP,
    CONTAINERD_DATA,
    CONTAINERD_STATE,
    GRPC_OFFSET,
    LOGS,
    NAMESPACE_FILE,
    RECORD,
    ROOT,
    RUN,
    S3_FILER_PORT,
    S3_MASTER_PORT,
    S3_PORT,
    S3_VOLUME_PORT,
)

CGROUPS = Path("/sys/fs/cgroup")
SHIM_SOCKETS = Path("/run/containerd/s")  # containerd puts them there whatever its state folder
# SeaweedFS names them by port alone and cannot be told another folder.
S3_SOCKETS = [
    Path(f"/tmp/seaweedfs-{role}-grpc-{port + GRPC_OFFSET}.sock")  # noqa: S108
    for role, port in (
        ("master", S3_MASTER_PORT), ("volume", S3_VOLUME_PORT), ("filer", S3_FILER_PORT), ("s3", S3_PORT),
    )
]  # fmt: skip
CNI_RESULTS = Path("/var/lib/cni/results")
DEVICE_PLUGIN_SOCKET = Path("/var/lib/kubelet/device-plugins/kubelet.sock")
CONTAINER_LOG_LINKS = Path("/var/log/containers")
# Fixed places that our programs share with any other of their kind; the inner ones come first.
SHARED_FOLDERS = (
    SHIM_SOCKETS, SHIM_SOCKETS.parent, DEVICE_PLUGIN_SOCKET.parent, DEVICE_PLUGIN_SOCKET.parent.parent,
    CNI_RESULTS, CONTAINER_LOG_LINKS, Path("/run/runc"),
)  # fmt: skip
KEPT = (CONTAINERD_DATA, LOGS)  # image content and logs stay until a purge
# These have data that stays. The others are killed at once: some wait for open watches, and all start empty.
ASKED = ("containerd", "registry")
GRACE_SECONDS = 3


def clean(*, purge: bool) -> None:
    """Stop every process, remove mounts, cgroups, network and run data; with `purge` also logs and images."""
    stop_recorded()
    kill_members()
    sysctls.restore()
    unmount_below((RUN, ROOT), PROC)
    remove_cgroups()
    network.remove()
    remove_sockets()
    remove_files(purge=purge)


def stop_recorded() -> None:
    started = record.load(RECORD)
    if started is None:
        return
    asked = [process for name, process in started.processes.items() if name in ASKED]
    others = [process for name, process in started.processes.items() if name not in ASKED]
    processes.stop(others, grace_seconds=0)
    processes.stop(asked, GRACE_SECONDS)


def kill_members() -> None:
    """Kill what is in the cluster's namespace or cgroup: pods, shims, and daemons that nobody recorded."""

    def members() -> set[int]:
        return set(cgroup_members()) | set(namespace_members())

    def gone() -> bool:
        alive = members()
        for pid in alive:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not alive

    processes.wait_until("the cluster's processes are gone", gone, 20)


def namespace_members(namespace: Path = NAMESPACE_FILE) -> Iterator[int]:
    """Processes whose network namespace is the node's."""
    try:
        wanted = namespace.stat()
    except FileNotFoundError:
        return
    for entry in PROC.iterdir():
        if entry.name.isdecimal():
            with suppress(FileNotFoundError, ProcessLookupError, PermissionError):
                found = (entry / "ns/net").stat()
                if (found.st_dev, found.st_ino) == (wanted.st_dev, wanted.st_ino):
                    yield int(entry.name)


def cgroup_folders() -> list[Path]:
    return [folder for folder in CGROUPS.glob(f"*/{CGROUP}") if folder.is_dir()]


def cgroup_members() -> Iterator[int]:
    for folder in cgroup_folders():
        for file in folder.rglob("cgroup.procs"):
            with suppress(FileNotFoundError, OSError):
                yield from map(int, file.read_text().split())


def unmount_below(folders: Iterable[Path], proc: Path) -> None:
    """Unmount what is mounted below the folders, the innermost first."""
    text = (proc / "self/mountinfo").read_text()
    for target in reversed(mounts_below(folders, text)):
        network.run(["umount", "--lazy", target])


def mounts_below(folders: Iterable[Path], mountinfo: str) -> list[str]:
    """Mount points below the folders, in mount order; `mountinfo` is the text of /proc/self/mountinfo."""
    points = [unescape(line.split()[4]) for line in mountinfo.splitlines()]
    return [point for point in points if any(Path(point).is_relative_to(folder) for folder in folders)]


def unescape(field: str) -> str:
    r"""The kernel writes a space as \040."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)


def remove_cgroups() -> None:
    for folder in cgroup_folders():
        inner = [path for path in folder.rglob("*") if path.is_dir()]
        for path in sorted([folder, *inner], key=lambda path: -len(path.parts)):
            # A killed process leaves its cgroup a moment after it left /proc.
            processes.wait_until(f"the cgroup {path} is empty", functools.partial(removed, path), 10)


def removed(folder: Path) -> bool:
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def remove_sockets() -> None:
    """Remove the sockets that nobody listens on; those of another live containerd are left alone."""
    for path in [*SHIM_SOCKETS.glob("*"), *S3_SOCKETS, DEVICE_PLUGIN_SOCKET]:
        with socket.socket(socket.AF_UNIX) as client:
            try:
                client.connect(str(path))
            except ConnectionRefusedError:
                path.unlink()
            except FileNotFoundError:
                continue


def remove_files(*, purge: bool) -> None:
    for path in CNI_RESULTS.glob("*"):
        if f'"{CONTAINERD_STATE}/' in path.read_text():  # names the network namespace of one of our pods
            path.unlink()
    for link in CONTAINER_LOG_LINKS.glob("*"):
        if link.is_symlink() and link.readlink().is_relative_to(ROOT):
            link.unlink()
    for folder in SHARED_FOLDERS:
        with suppress(OSError):  # it is not there, or another program has something in it
            folder.rmdir()
    shutil.rmtree(RUN, ignore_errors=True)
    if purge:
        shutil.rmtree(ROOT, ignore_errors=True)
        return
    for path in ROOT.glob("*"):
        if path not in KEPT:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
