"""`python -m distillery_worker.evaluation.serving_process FOLDER`: answer as a server does, and say how much memory.

Standard input has pickled inputs, one after the other, from the process that started this one. Each is read when the
one before is answered, since a server does not hold inputs either. Standard output has the most bytes of memory that
were resident at a time.
"""

import pickle
import re
import sys
from pathlib import Path
from typing import Any, BinaryIO

from distillery_api.artifact import MANIFEST, ArtifactManifest
from distillery_engine import open_model

STATUS = Path("/proc/self/status")


def main(folder: Path, inputs: BinaryIO) -> None:
    """Answer every input, and print the memory."""
    manifest = ArtifactManifest.model_validate_json((folder / MANIFEST).read_bytes())
    engine = engine_of(folder, manifest)
    while inputs.peek(1):  # type: ignore[attr-defined]  # sys.stdin.buffer has it
        engine.outputs([pickle.load(inputs)])
    print(peak_bytes(STATUS.read_text()))


def engine_of(folder: Path, manifest: ArtifactManifest) -> Any:
    """The artifact on one thread, in the engine that serves, or where nothing serves it in that of the evaluation."""
    if manifest.format == "onnx-fp32":
        return open_model(folder, manifest, threads=1)
    from ..tasks.registry import TASKS  # has torch, in which language models answer

    return TASKS[manifest.task].engine(folder, manifest, threads=1)


def peak_bytes(status: str) -> int:
    """VmHWM, in proc(5): of this program alone. getrusage's ru_maxrss would begin at that of the process before."""
    (kilobytes,) = re.findall(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    return int(kilobytes) * 1024


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.stdin.buffer)
