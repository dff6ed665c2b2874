"""Kueue's controller, and beside it its CRDs and webhooks: built when a test first needs them, apart from the cluster's
own programs, whose folder a change of its pins leaves alone.
"""

from __future__ import annotations

import functools
from pathlib import Path

from settings import CACHE, HERE
from tools import GoProgram, build, ensure, go, pins_key

MODULES = HERE / "test-tools"
MODULE = "sigs.k8s.io/kueue"
CONTROLLER = GoProgram("kueue", "kueue", f"{MODULE}/cmd/kueue")
CRDS, WEBHOOKS = "crds.yaml", "webhooks.yaml"


def ensure_kueue() -> Path:
    """The folder with `kueue`, CRDS and WEBHOOKS of the pinned version (minutes the first time)."""
    directory = CACHE / "tools" / f"kueue-{pins_key(MODULES, ())}"
    return ensure(directory, {
        CONTROLLER.name: functools.partial(build, MODULES / CONTROLLER.module, CONTROLLER.package),
        CRDS: functools.partial(copy_manifests, "crd/bases/*.yaml"),
        WEBHOOKS: functools.partial(copy_manifests, "webhook/manifests.yaml"),
    })  # fmt: skip


def copy_manifests(pattern: str, target: Path) -> None:
    """One file of the manifests that the module's own source holds."""
    source = Path(go(MODULES / CONTROLLER.module, "list", "-m", "-f", "{{.Dir}}", MODULE).strip())
    manifests = sorted((source / "config/components").glob(pattern))
    target.write_text("\n---\n".join(path.read_text() for path in manifests))
