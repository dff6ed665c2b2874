"""`distillery report REPORT`: an evaluation as a page for people."""

import argparse

from .recorded_report import read_recorded
from .redecision import check_same, verdict_again
from .report_page.page import page


def make_page(options: argparse.Namespace) -> int:
    """Write the page and say where: 0. Raises Refused where the report's verdict is not what its record gives."""
    recorded = read_recorded(options.report, options.public_key)
    found = verdict_again(recorded)
    check_same(recorded, found)
    options.output.write_text(page(recorded, found), encoding="utf-8")
    print(f"{found.verdict}: {options.output}")
    return 0
