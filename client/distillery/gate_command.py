"""`distillery gate REPORT`: take a verdict again, from what its evaluation recorded."""

import argparse
import sys

from .exits import VERDICTS
from .recorded_report import read_recorded
from .redecision import check_same, verdict_again


def decide_again(options: argparse.Namespace) -> int:
    """Print the verdict as JSON: 0 Pass, 1 Fail, 2 Inconclusive. Raises Refused where it is not the report's."""
    recorded = read_recorded(options.report, options.public_key)
    found = verdict_again(recorded)
    print(found.model_dump_json(by_alias=True, exclude_none=True))
    check_same(recorded, found)
    for criterion in found.criteria:
        print(f"{criterion.name}: {criterion.verdict}: {criterion.message}", file=sys.stderr)
    return VERDICTS[found.verdict]
