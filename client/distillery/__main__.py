"""distillery: run and plan DistillationJobs without a cluster."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from distillery_storage import StorageError

from .errors import Refused
from .estimate.amounts import CPU_TFLOPS, GPU_TFLOPS
from .exits import WRONG
from .gate_command import decide_again
from .gc_command import age, collect_garbage
from .labels_command import inspect_labels, verify_labels
from .plan_command import plan
from .report_command import make_page
from .run_command import run


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
    except (Refused, StorageError) as error:
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
    each = commands.add_parser("plan", help="what a run would do, take and cost, before anything runs")
    each.set_defaults(command=plan)
    add_job(each)
    add_prices(each)
    each = commands.add_parser("gate", help="take a verdict again from what its evaluation recorded")
    each.set_defaults(command=decide_again)
    each.add_argument("report", metavar="REPORT", help="path or URI of a report.json; its items may lie beside it")
    add_public_key(each)
    each = commands.add_parser("report", help="an evaluation as a page for people")
    each.set_defaults(command=make_page)
    each.add_argument("report", metavar="REPORT", help="path or URI of a report.json")
    add_public_key(each)
    each.add_argument(
        "-o", "--output", type=Path, default=Path("report.html"), metavar="FILE", help="report.html by default"
    )
    each.add_argument("--card", type=Path, metavar="FILE", help="write a model card too, such as MODEL_CARD.md")
    add_labels(commands.add_parser("labels", help="look at stored soft labels"))
    add_gc(commands.add_parser("gc", help="delete what no model holds and no live job uses"))
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


def add_public_key(command: argparse.ArgumentParser) -> None:
    """The argument that asks for a signature."""
    command.add_argument(
        "--public-key", type=Path, metavar="FILE", help="in PEM: refuse a report that its private half did not sign"
    )


def add_prices(command: argparse.ArgumentParser) -> None:
    """Arguments that estimates rest on."""
    words = f"10^12 operations a second that a GPU sustains; {GPU_TFLOPS:g} by default"
    command.add_argument("--tflops", type=positive, metavar="N", default=GPU_TFLOPS, help=words)
    words = f"the same of a pod without GPU; {CPU_TFLOPS:g} by default"
    command.add_argument("--cpu-tflops", type=positive, metavar="N", default=CPU_TFLOPS, help=words)
    command.add_argument("--price-per-gpu-hour", type=positive, metavar="PRICE", help="in any currency")
    command.add_argument(
        "--preflight", action="store_true",
        help="run the preflight stage here: exact rows, and what storage holds of them; loads the teacher",
    )  # fmt: skip


def positive(text: str) -> float:
    """A number above 0. Raises ValueError."""
    if not (number := float(text)) > 0:
        raise ValueError(text)
    return number


def add_labels(command: argparse.ArgumentParser) -> None:
    """`labels inspect` and `labels verify`."""
    actions = command.add_subparsers(required=True, metavar="ACTION")
    for name, call, words in (
        ("inspect", inspect_labels, "codec, rows and bytes of each label set"),
        ("verify", verify_labels, "read every segment and compare it with its digest; exit code 1 names damaged ones"),
    ):
        action = actions.add_parser(name, help=words)
        action.add_argument("uri", metavar="URI", help="a job's spec.storage.uri, or labels/KEY below it")
        action.set_defaults(command=call)


def add_gc(command: argparse.ArgumentParser) -> None:
    """Arguments of `gc`."""
    command.set_defaults(command=collect_garbage)
    command.add_argument("uri", metavar="URI", help="spec.storage.uri of the jobs")
    mode = command.add_mutually_exclusive_group(required=True)
    mode.add_argument("--dry-run", action="store_true", help="print what would go")
    mode.add_argument("--apply", action="store_true", help="delete it")
    state = command.add_mutually_exclusive_group()
    state.add_argument("--state", metavar="FILE", help="kubectl get dj,dm -A -o json; - is standard input")
    state.add_argument("--in-cluster", action="store_true", help="ask the API server, as a pod, for its namespace")
    command.add_argument("--unused", action="store_true", help="delete although the state does not name the prefix")
    command.add_argument(
        "--min-age", type=age, default=age("7d"), metavar="AGE", help="leave what was written since; 7d by default"
    )


if __name__ == "__main__":
    sys.exit(main())
