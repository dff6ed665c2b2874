"""Every relative link leads to a file, and every fragment to a heading."""

from pathlib import Path

import pytest
from docs_markdown import PAGES, ROOT, anchor, headings, links


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_resolve(page):
    assert [link for link in links(page) if not leads_somewhere(page, link)] == []


def target_of(page: Path, link: str) -> Path:
    path = link.partition("#")[0]
    return (page.parent / path).resolve() if path else page


def leads_somewhere(page: Path, link: str) -> bool:
    target, fragment = target_of(page, link), link.partition("#")[2]
    return target.exists() and (not fragment or fragment in map(anchor, headings(target)))


def test_every_page_of_docs_is_reached_from_the_readme():
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached or page.suffix != ".md":
            continue
        reached.add(page)
        waiting += [target_of(page, link) for link in links(page)]
    assert [page.name for page in PAGES if page.is_relative_to(ROOT / "docs") and page not in reached] == []
