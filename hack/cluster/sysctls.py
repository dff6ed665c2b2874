"""The kubelet sets a few kernel parameters of the whole machine; this puts them back."""

from __future__ import annotations

import json
from pathlib import Path

from settings import RUN

PARAMETERS = (
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)
SAVED = RUN / "sysctls.json"
PROC_SYS = Path("/proc/sys")


def save(saved: Path = SAVED, proc_sys: Path = PROC_SYS) -> None:
    """Remember the machine's own values, before the kubelet starts."""
    values = {name: (proc_sys / name).read_text().strip() for name in PARAMETERS}
    saved.write_text(json.dumps(values))


def restore(saved: Path = SAVED, proc_sys: Path = PROC_SYS) -> None:
    """Put back what differs from the remembered values; nothing was changed if none were remembered."""
    if not saved.exists():
        return
    for name, value in json.loads(saved.read_text()).items():
        parameter = proc_sys / name
        if parameter.read_text().strip() != value:
            parameter.write_text(value)
