"""What the student costs, on the artifact that serves: time, size and memory."""

import pickle
import platform
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from distillery_api.artifact import ArtifactManifest
from distillery_api.gate import GateSpec
from distillery_gate import Costs, Machine

from .answering import Evaluation
from .latency import ANSWERS, spread

CPUINFO = Path("/proc/cpuinfo")
ENGINES = {"onnx-fp32": ("ONNX Runtime", "onnxruntime"), "safetensors": ("PyTorch", "torch")}
LONGEST = 128  # characters of a processor's name
POLL_SECONDS = 0.1


def answers_to_time(gate: GateSpec) -> int:
    """As many as the gate asks for; without ceilings they are for the eye alone."""
    return gate.cost.min_measurements if gate.cost else ANSWERS


def costs_of_student(evaluation: Evaluation, folder: str, manifest: ArtifactManifest) -> Costs:
    """What was timed of it, the size of the artifact in the folder and, if asked for, of a process that answers.

    The process is one model more in memory than the pod may have room for, so it runs only for its ceiling.
    """
    timings, asked = evaluation.models["student"].timings, evaluation.run.gate.cost
    assert timings is not None  # noqa: S101 - every artifact that serves is timed
    path, inputs = evaluation.context.folder(folder), spread(evaluation.rows.inputs, evaluation.answers_to_time)
    return Costs(
        latency_ms=tuple(timings.latency_ms),
        cpu_ms=tuple(timings.cpu_ms),
        inputs=timings.inputs,
        artifact_bytes=sum(file.size for file in manifest.files.values()),
        memory_bytes=peak_memory(path, inputs, evaluation.check_stop) if asked and asked.max_memory_bytes else None,
        measured_on=Machine(cpu=processor(CPUINFO.read_text()), threads=1, engine=engine_name(manifest)),
    )


def peak_memory(folder: Path, inputs: Sequence[Any], between: Callable[[], None]) -> int:
    """Most bytes that a new process held which loads the artifact in the folder and answers the inputs one by one.

    between: called while it runs; what it raises ends the process. Raises MemoryError where the process was killed,
    RuntimeError where it failed.
    """
    command = [sys.executable, "-m", f"{__package__}.serving_process", str(folder)]
    with tempfile.TemporaryFile(dir=folder.parent) as rows:
        for row in inputs:
            pickle.dump(row, rows)
        rows.seek(0)
        with subprocess.Popen(command, stdin=rows, stdout=subprocess.PIPE) as process:
            try:
                while process.poll() is None:
                    between()
                    time.sleep(POLL_SECONDS)
            except BaseException:
                process.kill()
                raise
            printed, _ = process.communicate()
    return reading(process.returncode, printed.decode())


def reading(code: int, printed: str) -> int:
    """The number in the last line of a process that ended well. Raises MemoryError and RuntimeError."""
    if code == -signal.SIGKILL:
        raise MemoryError("the process that measures the student's memory was killed: with it the pod needs too much")
    if code:
        raise RuntimeError(f"the process that measures the student's memory ended with {code}; the log has its errors")
    return int(printed.split()[-1])


def processor(cpuinfo: str) -> str:
    """The model's name in proc(5)'s cpuinfo, or where there is none the machine's kind."""
    found = re.search(r"^model name\s*: (.+)$", cpuinfo, re.MULTILINE)
    return (found[1].strip() if found else platform.machine())[:LONGEST]


def engine_name(manifest: ArtifactManifest) -> str:
    """The engine of the artifact's format, with its version."""
    name, package = ENGINES[manifest.format]
    return f"{name} {version(package)}"
