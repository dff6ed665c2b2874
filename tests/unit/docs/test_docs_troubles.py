"""The page of known troubles: each is shown by a test that exists, or by a page; links are tested with all others."""

import ast
import functools
import re

import pytest
from docs_markdown import DOCS, ROOT, tables

PAGE = DOCS / "known-troubles.md"
NAMED = re.compile(r"`([\w/.]+\.py)::(\w+)`")
ROWS = [row for table in tables(PAGE) for row in table[1:]]


@functools.cache
def named_in(path: str) -> set[str]:
    """Tests at the top of a file: functions, and state machines that are given a name as a test."""
    tree = ast.parse((ROOT / path).read_text())
    functions = {n.name for n in tree.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)}
    assigned = {t.id for n in tree.body if isinstance(n, ast.Assign) for t in n.targets if isinstance(t, ast.Name)}
    return {name for name in functions | assigned if name.startswith(("test_", "Test"))}


def test_every_test_on_the_page_exists():
    named = NAMED.findall(PAGE.read_text())
    assert named
    assert [f"{path}::{name}" for path, name in named if name not in named_in(path)] == []


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[1])
def test_a_trouble_is_shown_by_a_test_or_a_page(row: list[str]):
    assert NAMED.search(row[3]) or "](" in row[3]
    assert "::" not in NAMED.sub("", row[3]), "a test is `path::name`"


def test_the_troubles_of_each_table_are_numbered_without_a_gap():
    for table in tables(PAGE):
        assert [row[0] for row in table[1:]] == [str(number) for number in range(1, len(table))]
