"""`python -m distillery_operator --settings FILE [--lease NAMESPACE/NAME --identity ID]`, or `… explain --help`."""

import argparse
import asyncio
import logging
import sys
from pathlib import Path

from . import explain, logs
from .cluster import ApiError
from .kopf_shell import WatchEndedError
from .lease import Candidate, LeaseLostError
from .operator import run
from .schema_check import SchemaMismatchError
from .settings import load


def main() -> int:
    """Run the operator; exit 1 when it cannot go on."""
    if sys.argv[1:2] == ["explain"]:
        return explain.main(sys.argv[2:])
    parser = argparse.ArgumentParser(
        prog="python -m distillery_operator", description="The Distillery operator.",
        epilog="`explain --help`: print what the operator would do next for an object.",
    )  # fmt: skip
    parser.add_argument("--settings", type=Path, required=True, help="JSON file, written by the chart")
    parser.add_argument("--kubeconfig", help="outside a cluster: which one to work on")
    parser.add_argument("--lease", metavar="NAMESPACE/NAME", help="act only while holding it; without, act at once")
    parser.add_argument("--identity", help="name in the Lease: of no other live process")
    options = parser.parse_args()
    try:
        candidate = candidate_of(options.lease, options.identity)
    except ValueError as error:
        parser.error(str(error))
    try:
        settings = load(options.settings)
    except (OSError, ValueError) as error:
        print(f"settings: {error}", file=sys.stderr)
        return 2
    logs.configure(settings.log_level)
    try:
        asyncio.run(run(settings, options.kubeconfig, candidate))
    except (SchemaMismatchError, ApiError, LeaseLostError, WatchEndedError) as error:
        logging.getLogger(__name__).error("stopped: %s", error)
        return 1
    return 0


def candidate_of(lease: str | None, identity: str | None) -> Candidate | None:
    """The two flags together. Raises ValueError that says what is wrong with them."""
    if lease is None and identity is None:
        return None
    namespace, _, name = (lease or "").partition("/")
    if not (namespace and name and identity):
        raise ValueError("--lease NAMESPACE/NAME and --identity ID go together")
    return Candidate(namespace, name, identity)


if __name__ == "__main__":
    raise SystemExit(main())
