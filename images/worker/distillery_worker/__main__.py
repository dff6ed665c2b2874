"""python -m distillery_worker: run the stage that run.json names and leave a summary in the termination message."""

import os

# Before torch is imported: two pods that share cores must not burn them waiting for each other's threads.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import argparse
import signal
import sys
from pathlib import Path

from distillery_api.run import PROGRESS_PORT, RUN, RUN_PATH, TrainRun
from distillery_api.summary import TERMINATION_LOG

from .context import Context, usable_threads
from .json_log import log_to_stderr
from .progress import Progress, serve


def main(argv: list[str] | None = None) -> int:
    """The exit code: one of exits."""
    parser = argparse.ArgumentParser(prog="distillery_worker", description=__doc__)
    parser.add_argument("--run", type=Path, default=Path(RUN_PATH), help="run.json")
    parser.add_argument("--termination-log", type=Path, default=Path(TERMINATION_LOG))
    parser.add_argument("--workdir", type=Path, default=Path("/tmp/work"), help="scratch space")  # noqa: S108
    parser.add_argument("--progress-port", type=int, default=PROGRESS_PORT, help="0: any free port")
    arguments = parser.parse_args(argv)
    log_to_stderr()
    if not names_the_hub(arguments.run):
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
    process = int(os.environ.get("LOCAL_RANK", "-1"))  # of those that the pod's first process has launched
    context = Context(
        workdir=arguments.workdir / f"process-{process}" if process >= 0 else arguments.workdir,
        threads=usable_threads(),
        shard=int(os.environ.get("JOB_COMPLETION_INDEX", "0")),
        progress=Progress(),
    )
    signal.signal(signal.SIGTERM, lambda *_: context.stop.set())
    # Only now: it takes seconds, and without a handler the first process of a container ignores SIGTERM.
    if process < 0 and (training := training_by_several(arguments.run)):
        from .launching import launch

        return launch(training, sys.argv[1:] if argv is None else argv, context.shard, context.threads)
    from .runner import run_stage

    if process <= 0:
        serve(context.progress, arguments.progress_port)
    return run_stage(arguments.run, arguments.termination_log if process <= 0 else Path(os.devnull), context)


def names_the_hub(run_file: Path) -> bool:
    """Whether a model comes from a Hugging Face hub; for every other run its library stays offline."""
    try:
        return "hf://" in run_file.read_text()
    except (OSError, ValueError):
        return False  # the stage says what is wrong with it


def training_by_several(run_file: Path) -> TrainRun | None:
    """The run, if it is a training that several processes share."""
    try:
        run = RUN.validate_json(run_file.read_text())
    except (OSError, ValueError):
        return None  # the stage says what is wrong with it
    shared = isinstance(run, TrainRun) and run.training.nodes * run.training.processes_per_node > 1
    return run if isinstance(run, TrainRun) and shared else None


if __name__ == "__main__":
    sys.exit(main())
