"""distillery-gate: a verdict on per-item results, from recorded columns or logs of lm-evaluation-harness."""

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

from .decision import decide
from .errors import GateError
from .gate_options import add_gate, costs_measured, gate_asked, look_taken
from .harness import FIELDS, items_of_logs
from .items import Items
from .recorded import MODELS, READERS, items_of
from .tables import read_columns

EXITS = {"Pass": 0, "Fail": 1, "Inconclusive": 2}
WRONG = 3  # wrong input: there is no verdict
LABELLED = ("accuracy", "macro F1")  # metrics of labels, which may look like numbers
METRICS = {name.replace(" ", "-"): name for name in READERS}


class Parser(argparse.ArgumentParser):
    """argparse, whose own exit code for wrong arguments would read as Inconclusive."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and how it is written."""
        self.exit(WRONG, f"{self.format_usage()}{self.prog}: {message}\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Print the verdict as JSON and its sentences on standard error: 0 Pass, 1 Fail, 2 Inconclusive, 3 bad input."""
    options = parser().parse_args(argv)
    try:
        gate, look, costs = gate_asked(options), look_taken(options), costs_measured(options)
        found = decide(options.items_of(options), gate, look, costs)
    except GateError as error:
        print(error, file=sys.stderr)
        return WRONG
    print(found.model_dump_json(by_alias=True, exclude_none=True))
    for criterion in found.criteria:
        print(f"{criterion.name}: {criterion.verdict}: {criterion.message}", file=sys.stderr)
    return EXITS[found.verdict]


def parser() -> Parser:
    """The command line."""
    root = Parser(prog="distillery-gate", description=__doc__, epilog="Exit codes: 0 Pass, 1 Fail, 2 Inconclusive, 3.")
    commands = root.add_subparsers(required=True, metavar="COMMAND")
    add_decide(commands.add_parser("decide", help="on recorded columns", allow_abbrev=False))
    words = "on per-sample logs of lm-evaluation-harness"
    add_harness(commands.add_parser("harness", help=words, allow_abbrev=False))
    return root


def add_decide(command: argparse.ArgumentParser) -> None:
    """Arguments of `decide`."""
    command.set_defaults(items_of=recorded_items)
    command.add_argument("items", metavar="ITEMS", help="a row for each item: .csv with a header, or .jsonl of objects")
    command.add_argument("--metric", required=True, choices=METRICS, help="what the models are judged by")
    add_gate(command)


def recorded_items(options: argparse.Namespace) -> Items:
    """The items of a file of columns."""
    metric = METRICS[options.metric]
    return items_of(metric, read_columns(options.items, labels=metric in LABELLED))


def add_harness(command: argparse.ArgumentParser) -> None:
    """Arguments of `harness`."""
    command.set_defaults(items_of=logged_items)
    for name in MODELS:
        command.add_argument(
            f"--{name}", nargs="+", metavar="LOG", required=name in ("teacher", "student"),
            help=f"samples_TASK_TIME.jsonl of the {name}, one for each task",
        )  # fmt: skip
    command.add_argument("--measure", required=True, help="a metric that the logs have for each document: exact_match")
    command.add_argument("--filter", help="which of a log's filters, where it has several: strict-match")
    command.add_argument(
        "--other-prompts", action="store_true",
        help="compare although prompts differ, as by models with chat templates of their own",
    )  # fmt: skip
    add_gate(command)


def logged_items(options: argparse.Namespace) -> Items:
    """The items of logs."""
    logs = {name: paths for name in MODELS if (paths := getattr(options, name))}
    same = FIELDS if not options.other_prompts else tuple(name for name in FIELDS if name != "prompt_hash")
    return items_of_logs(logs, options.measure, options.filter, same)


if __name__ == "__main__":
    sys.exit(main())
