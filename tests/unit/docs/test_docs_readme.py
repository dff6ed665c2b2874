"""The README: short, true of the example and of the tree."""

import re

import pytest
from docs_markdown import DOCS, README, ROOT, blocks, prose

JOB = (ROOT / "examples/wordnet/job.yaml").read_text()
PAGES = [README, ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]


def test_the_job_is_the_example_and_has_under_30_lines():
    assert blocks(README, "yaml") == [JOB]
    assert len(JOB.splitlines()) < 30


def test_the_readme_has_at_most_150_lines():
    assert len(README.read_text().splitlines()) <= 150


def test_everything_in_the_file_tree_exists():
    (tree,) = blocks(README, "text")
    paths = [line.split()[0] for line in tree.splitlines()]
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_every_folder_of_the_repository_is_in_the_file_tree():
    (tree,) = blocks(README, "text")
    listed = {line.split("/")[0] for line in tree.splitlines()}
    packages = {path.parent.parent.name for path in ROOT.glob("*/*/__init__.py")}
    assert packages - listed == set()


def test_every_make_target_that_the_readme_names_exists():
    targets = re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    named = re.findall(r"`?make ([a-z-]+)`?", README.read_text())
    assert named
    assert set(named) <= set(targets)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_prose_promises_no_ease(page):
    assert re.findall(r"\b(?:eas(?:y|ily)|simpl[ey]|just|powerful|seamless\w*)\b", prose(page), re.IGNORECASE) == []
