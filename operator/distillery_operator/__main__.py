"""`python -m distillery_operator --settings FILE [--kubeconfig FILE]`."""

import argparse
import asyncio
import logging
import sys
from pathlib import Path

from . import logs
from .cluster import ApiError
from .operator import run
from .schema_check import SchemaMismatchError
from .settings import load


def main() -> int:
    """Run the operator; exit 1 when it cannot go on."""
    parser = argparse.ArgumentParser(prog="python -m distillery_operator", description="The Distillery operator.")
    parser.add_argument("--settings", type=Path, required=True, help="JSON file, written by the chart")
    parser.add_argument("--kubeconfig", help="outside a cluster: which one to work on")
    options = parser.parse_args()
    try:
        settings = load(options.settings)
    except (OSError, ValueError) as error:
        print(f"settings: {error}", file=sys.stderr)
        return 2
    logs.configure(settings.log_level)
    try:
        asyncio.run(run(settings, options.kubeconfig))
    except (SchemaMismatchError, ApiError) as error:
        logging.getLogger(__name__).error("stopped: %s", error)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
