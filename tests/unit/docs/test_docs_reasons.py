"""Every reason that the code can give stands on a page, and every reason on a page can be given."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from distillery_api.distillationjob_status import StageStatus
from distillery_operator import event_reasons
from docs_markdown import DOCS, ROOT, first_column, named, section, tables_in

REASON = re.compile(r"^[A-Z][a-z]+[A-Za-z]*$")
POSITION = {"InputRefused": 0, "Wanted": 2, "Note": 1, "decision": 2, "__init__": 0}  # of the reason in a call
TABLES = {"DOING", "STORAGE_REASONS", "FAILURES", "NOT_CREATED", "NOT_WRITTEN"}  # names of constants that hold reasons
OUTCOMES = {"Promoted", "Rejected", "Held"}  # of a decision; the first is a reason as well, by a call
SOURCES = {
    "operator": ROOT / "operator/distillery_operator",
    "worker": ROOT / "images/worker/distillery_worker",
    "server": ROOT / "images/server/distillery_server",
}
PAGES = {"operator": ("distillationjob.md", "distilledmodel.md"), "worker": ("distillationjob.md",),
         "server": ("distilledmodel.md",)}  # fmt: skip


def constants(node: ast.AST) -> Iterator[str]:
    for inner in ast.walk(node):
        if isinstance(inner, ast.Constant) and isinstance(inner.value, str) and REASON.match(inner.value):
            yield inner.value


def called(node: ast.Call) -> str:
    return getattr(node.func, "id", getattr(node.func, "attr", ""))


def reasons_at(node: ast.AST) -> Iterator[str]:
    """Reasons that one node gives: as an argument, in a table of reasons, or in a tuple that is returned."""
    if isinstance(node, ast.Call):
        place = POSITION.get(called(node))
        given = [keyword.value for keyword in node.keywords if keyword.arg == "reason"]
        if place is not None and len(node.args) > place:
            given.append(node.args[place])
        for value in given:
            yield from constants(value)
    elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        names = {target.id for target in targets if isinstance(target, ast.Name)}
        if names & TABLES or "reason" in names:
            yield from (name for name in constants(node.value) if not name.endswith("Error"))
        elif "FAILED_BY" in names and isinstance(node.value, ast.Dict):  # criterion -> reason
            yield from constants(node.value)
    elif isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple):
        for element in node.value.elts:
            if isinstance(element, ast.Constant):
                yield from set(constants(element)) - OUTCOMES
            elif isinstance(element, ast.Call) and ast.unparse(element.func).removesuffix(".get") in TABLES:
                yield from constants(element.args[1])  # what the table lacks


def given_by(folder: Path) -> set[str]:
    trees = [ast.parse(path.read_text()) for path in sorted(folder.rglob("*.py"))]
    return {reason for tree in trees for node in ast.walk(tree) for reason in reasons_at(node)}


def explained_on(*pages: str) -> set[str]:
    return {name for page in pages for name in first_column(DOCS / page, "Reason")}


@pytest.mark.parametrize("part", SOURCES)
def test_every_reason_is_explained(part):
    assert given_by(SOURCES[part]) - explained_on(*PAGES[part]) == set()


def test_every_explained_reason_can_be_given():
    states = set(get_args(StageStatus.model_fields["state"].annotation))
    given = set().union(*map(given_by, SOURCES.values())) | states
    assert explained_on("distillationjob.md", "distilledmodel.md") - given == set()


def test_the_job_page_names_every_condition():
    conditions = {"Ready", "Reconciling", "Stalled", "Succeeded", "Suspended", "Offered"}
    conditions |= {"Validated", "Labelled", "Trained", "Compressed", "Evaluated"}
    assert set(first_column(DOCS / "distillationjob.md", "Type")) == conditions


@pytest.mark.parametrize(
    ("page", "heading", "reasons"),
    [
        ("distillationjob.md", "Debugging", event_reasons.STEPS | {"InvalidSpec", "StageFailed"}),
        ("distillationjob.md", "Reasons of a wrong input", event_reasons.WRONG_INPUTS),
        ("distillationjob.md", "Reasons of a fault", event_reasons.FAULTS),
        ("distillationjob.md", "Reasons of the gate", event_reasons.VERDICTS),
    ],
)
def test_the_page_lists_the_reasons_of_events(page, heading, reasons):
    assert reasons_under(page, heading) == reasons


def test_a_models_events_have_the_reasons_of_decisions():
    listed = reasons_under("distilledmodel.md", "Reasons of decisions")
    assert listed - event_reasons.VERDICTS == event_reasons.DECISIONS


def reasons_under(page: str, heading: str) -> set[str]:
    rows = [row for table in tables_in(section(DOCS / page, heading)) for row in table[1:]]
    return {reason for row in rows for reason in named(row[0])}


def test_every_event_that_the_code_posts_by_name_is_on_the_closed_list():
    trees = [ast.parse(path.read_text()) for path in sorted(SOURCES["operator"].rglob("*.py"))]
    calls = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call) and called(node) == "Note"]
    posted = {reason for call in calls for reason in constants(call.args[1])}
    assert posted
    assert posted - event_reasons.LISTED == set()
