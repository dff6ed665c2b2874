"""distillery: run and plan DistillationJobs without a cluster."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from .errors import Refused
from .run_command import run

WRONG = 3  # wrong input, or a run that failed: 0, 1 and 2 are verdicts


class Parser(argparse.ArgumentParser):
    """argparse, with our exit code for wrong arguments."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and how it is written."""
        self.exit(WRONG, f"{self.format_usage()}{self.prog}: {message}\n")


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code."""
    options = parser().parse_args(argv)
    try:
        code: int = options.command(options)
    except Refused as error:
        print(error, file=sys.stderr)
        return WRONG
    return code


def parser() -> Parser:
    """The command line."""
    root = Parser(prog="distillery", description=__doc__)
    commands = root.add_subparsers(required=True, metavar="COMMAND")
    each = commands.add_parser("run", help="run a job's stages as processes of this machine, to the verdict")
    each.set_defaults(command=run)
    add_job(each)
    return root


def add_job(command: argparse.ArgumentParser) -> None:
    """Arguments that name a job."""
    command.add_argument(
        "-f", "--filename", action="append", required=True, dest="files", metavar="FILE",
        help="manifest with the DistillationJob, and with the DistilledModel if there is one; - is standard input",
    )  # fmt: skip
    command.add_argument("--name", help="which job, where the files hold several")
    command.add_argument("--storage", type=Path, metavar="DIR", help="a folder in place of spec.storage.uri")
    command.add_argument(
        "--defaults", type=Path, metavar="FILE", help="the operator's settings, JSON as in the chart's ConfigMap"
    )


if __name__ == "__main__":
    sys.exit(main())
