"""Builds the container images with buildah and pushes them to a registry.

    hack/images.py [--registry HOST:PORT] [NAME ...]

Prints one JSON object: each name (operator, server, client, worker) with its reference by digest. An image is known by
the hash of all that goes in, so a run that changes nothing builds and pushes nothing. Without --registry, the images go
to the embedded cluster's own. No network is needed inside a build: packages come from the wheel cache of the
development virtualenv, whose lock constrains the images' locks.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent
CACHE = Path(os.environ.get("DISTILLERY_CACHE", "/var/cache/distillery"))
STORE = CACHE / "images"
UV_VERSION = (REPO / "hack/uv-version").read_text().strip()
UV_FOLDER = CACHE / f"uv-{UV_VERSION}/bin"
UV_IMAGE = f"astral/uv:{UV_VERSION}"
WHEELS = CACHE / "uv"
WHEELS_INSIDE = "/var/cache/uv"
# What a build copies from the context; the Dockerfile is the only list of what an image holds.
COPIED = re.compile(r"^(?:COPY|ADD) (?:--chmod=\S+ )?(\S+) \S+$", re.MULTILINE)
BUILDAH = ("buildah", "--root", str(STORE / "storage"), "--runroot", "/run/distillery-images")
# crun, buildah's default, refuses machines that mount both cgroup versions; runc runs on all.
ISOLATION = ("--isolation=oci", "--runtime=/usr/sbin/runc", "--network=none")
# The torch layer holds 6 GB: this is quick to write and, more than twice as fast as gzip, to read at every pull.
COMPRESSION = ("--compression-format=zstd", "--compression-level=1")


class ImageError(Exception):
    """An image could not be built or pushed; the message says what to do."""


@dataclass(frozen=True)
class Recipe:
    """How one image is made: `base_argument` names the build argument that takes the image below it."""

    name: str
    below: str | None = None
    base_argument: str = "BASE_IMAGE"
    lock: str | None = None

    @property
    def dockerfile(self) -> Path:
        return REPO / "images" / self.name / "Dockerfile"


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe("base"),
        Recipe("torch", below="base", lock="worker"),
        Recipe("operator", below="base", lock="operator"),
        Recipe("server", below="base", lock="server"),
        Recipe("client", below="base", lock="cli"),
        Recipe("worker", below="torch", base_argument="TORCH_IMAGE"),
    )
}
RELEASED = ("operator", "server", "client", "worker")


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="Build and push the container images.")
    parser.add_argument("--registry", help="HOST:PORT or HOST/FOLDER; the embedded cluster's when left out")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(RELEASED)}; all when left out")
    options = parser.parse_args(arguments)
    unknown = set(options.names) - set(RELEASED)
    if unknown:
        parser.error(f"no image is called {sorted(unknown)[0]!r}; choose from {', '.join(RELEASED)}")
    try:
        references = publish(options.names or RELEASED, options.registry)
    except ImageError as error:
        print(f"images: {error}", file=sys.stderr)
        return 1
    print(json.dumps(references, indent=2))
    return 0


def publish(names: Sequence[str], registry: str | None = None) -> dict[str, str]:
    """Build and push `names`; return each one's reference by digest."""
    plain_http = registry is None
    registry = registry or cluster_registry()
    with locked():
        return {name: push(build(RECIPES[name]), name, registry, plain_http) for name in names}


def cluster_registry() -> str:
    command = [sys.executable, str(REPO / "hack/cluster/cluster.py"), "env", "--json"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise ImageError(f"the embedded cluster's registry is unknown ({result.stderr.strip()}); run `make up` first")
    return str(json.loads(result.stdout)["REGISTRY"])


@contextmanager
def locked() -> Iterator[None]:
    STORE.mkdir(parents=True, exist_ok=True)
    with (STORE / "lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def key_of(recipe: Recipe) -> str:
    """A hash of everything that goes into the image, the images below it included."""
    digest = hashlib.sha256(UV_VERSION.encode())
    if recipe.below:
        digest.update(key_of(RECIPES[recipe.below]).encode())
    for file in sorted(input_files(recipe)):
        digest.update(f"{file.relative_to(REPO)}\0".encode() + hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:16]


def input_files(recipe: Recipe) -> Iterator[Path]:
    if recipe.below is None:  # its context is what the script beside the Dockerfile writes
        yield from recipe.dockerfile.parent.iterdir()
        return
    yield recipe.dockerfile
    for source in COPIED.findall(recipe.dockerfile.read_text()):
        path = REPO / source
        if not path.exists():
            raise ImageError(f"{recipe.dockerfile.relative_to(REPO)} copies {source}, which does not exist")
        files = path.rglob("*") if path.is_dir() else [path]
        yield from (file for file in files if file.is_file() and "__pycache__" not in file.parts)


def build(recipe: Recipe) -> str:
    """Build the image unless the store has it; return its local tag."""
    tag = f"localhost/distillery/{recipe.name}:{key_of(recipe)}"
    if exists(tag):
        return tag
    print(f"images: building {recipe.name}", file=sys.stderr)
    if recipe.below is None:
        build_base(recipe, tag)
    else:
        build_on(recipe, build(RECIPES[recipe.below]), tag)
    forget_older(recipe, tag)
    return tag


def exists(tag: str) -> bool:
    command = [*BUILDAH, "images", "--quiet", tag]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def build_base(recipe: Recipe, tag: str) -> None:
    with tempfile.TemporaryDirectory(dir=STORE) as context:
        run(["bash", str(recipe.dockerfile.with_name("rootfs.sh")), f"{context}/rootfs.tar"])
        buildah("build", *ISOLATION, f"--file={recipe.dockerfile}", f"--tag={tag}", context)


def build_on(recipe: Recipe, below: str, tag: str) -> None:
    if recipe.lock:
        fill_wheel_cache(recipe.lock)
    arguments = {
        recipe.base_argument: below,
        "UV_NO_CACHE": "0",
        "UV_CACHE_DIR": WHEELS_INSIDE,
        "UV_OFFLINE": "1",
    }
    packaging = (
        f"--volume={WHEELS}:{WHEELS_INSIDE}",
        f"--build-context={UV_IMAGE}={UV_FOLDER}",
        *(f"--build-arg={name}={value}" for name, value in arguments.items()),
    )
    buildah(
        "build", "--layers", "--pull=false", *ISOLATION, *packaging,
        f"--file={recipe.dockerfile}", f"--tag={tag}", str(REPO),
    )  # fmt: skip


def fill_wheel_cache(lock: str) -> None:
    """Have every wheel of the lock in the cache: installed into a folder (of hard links) that is thrown away."""
    run(["bash", str(REPO / "hack/venv.sh")])
    with tempfile.TemporaryDirectory(dir=CACHE) as target:
        run([
            str(UV_FOLDER / "uv"), "pip", "install", "--quiet", "--no-config", "--no-deps", "--require-hashes",
            f"--cache-dir={WHEELS}", f"--python={CACHE}/venv/bin/python", f"--target={target}",
            f"--requirement={REPO}/locks/{lock}.txt",
        ])  # fmt: skip


def forget_older(recipe: Recipe, current: str) -> None:
    """Remove the image's earlier builds, containers of interrupted ones, and layers that nothing needs any more."""
    buildah("rm", "--all")
    listed = buildah("images", "--format={{.Name}}:{{.Tag}}").split()
    older = [tag for tag in listed if tag.startswith(f"localhost/distillery/{recipe.name}:") and tag != current]
    if older:
        buildah("rmi", "--force", *older)
    buildah("rmi", "--prune")


def push(tag: str, name: str, registry: str, plain_http: bool) -> str:
    """Push what the registry lacks; return the reference by digest."""
    repository = f"{registry}/distillery/{name}"
    with tempfile.NamedTemporaryFile() as digest:
        buildah(
            "push", "--quiet", *COMPRESSION, f"--tls-verify={str(not plain_http).lower()}",
            f"--digestfile={digest.name}", tag, f"docker://{repository}:{tag.rpartition(':')[2]}",
        )  # fmt: skip
        return f"{repository}@{Path(digest.name).read_text().strip()}"


def buildah(*arguments: str) -> str:
    if not shutil.which("buildah"):
        raise ImageError("buildah is not installed; run `make setup` first")
    return run([*BUILDAH, *arguments])


def run(command: Sequence[str]) -> str:
    """Run to the end and return standard output; raise with the last lines of both outputs."""
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise ImageError(f"`{' '.join(command)}` failed:\n{result.stdout[-2000:]}{result.stderr[-4000:]}")
    return result.stdout


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
