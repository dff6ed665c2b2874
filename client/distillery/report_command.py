"""`distillery report REPORT`: an evaluation as a page for people."""

import argparse

from .recorded_report import read_recorded
from .redecision import check_same, verdict_again
from .report_page.model_card import model_card
from .report_page.page import page


def make_page(options: argparse.Namespace) -> int:
    """Write the page, and a model card if asked, and say where: 0.

    Raises Refused where the report's verdict is not what its record gives.
    """
    recorded = read_recorded(options.report, options.public_key)
    found = verdict_again(recorded)
    check_same(recorded, found)
    texts = {options.output: page(recorded, found)}
    if options.card:
        texts[options.card] = model_card(recorded, found)
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")
    print(f"{found.verdict}: {', '.join(map(str, texts))}")
    return 0
