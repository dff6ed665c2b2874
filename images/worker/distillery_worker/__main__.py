"""python -m distillery_worker: run the stage that run.json names and leave a summary in the termination message."""

import os

# Before torch is imported: two pods that share cores must not burn them waiting for each other's threads.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import argparse
import signal
import sys
from pathlib import Path

from distillery_api.run import PROGRESS_PORT, RUN_PATH
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
    context = Context(
        workdir=arguments.workdir,
        threads=usable_threads(),
        shard=int(os.environ.get("JOB_COMPLETION_INDEX", "0")),
        progress=Progress(),
    )
    signal.signal(signal.SIGTERM, lambda *_: context.stop.set())
    # Only now: it takes seconds, and without a handler the first process of a container ignores SIGTERM.
    from .runner import run_stage

    serve(context.progress, arguments.progress_port)
    return run_stage(arguments.run, arguments.termination_log, context)


if __name__ == "__main__":
    sys.exit(main())
