"""The documentation as data: files, fenced blocks, headings, links and tables."""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
README = ROOT / "README.md"
PAGES = sorted({*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *ROOT.glob("*/README.md"), *ROOT.glob("*/*/README.md")})
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)


def blocks(page: Path, language: str) -> list[str]:
    """Contents of the fenced blocks in a language, without their indentation."""
    found = FENCE.findall(page.read_text())
    return [re.sub(rf"^{indent}", "", body, flags=re.MULTILINE) for indent, name, body in found if name == language]


def prose(page: Path) -> str:
    """The page without fenced blocks."""
    return FENCE.sub("", page.read_text())


def headings(page: Path) -> list[str]:
    """Texts of all headings."""
    return re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)


def anchor(heading: str) -> str:
    """The fragment by which GitHub links to a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def section(page: Path, heading: str) -> str:
    """Text under the heading, up to the next one of any level."""
    found = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", prose(page), re.DOTALL | re.MULTILINE)
    assert found, f"{page.name} has no heading {heading}"
    return found[1]


def links(page: Path) -> list[str]:
    """Targets of the page's links and images that lead into the repository."""
    text = re.sub(r"`[^`\n]*`", "", prose(page))
    return [target for target in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in target]


def tables(page: Path) -> Iterator[list[list[str]]]:
    """Rows of each table of the page, header first; cells stripped."""
    return tables_in(prose(page))


def tables_in(text: str) -> Iterator[list[list[str]]]:
    """Rows of each table, header first; cells stripped."""
    rows: list[list[str]] = []
    for line in [*text.splitlines(), ""]:
        if line.startswith("|"):
            rows.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
        elif rows:
            yield [rows[0], *rows[2:]]
            rows = []


def named(cell: str) -> list[str]:
    """What a cell names in backticks."""
    return re.findall(r"`([^`]+)`", cell)


def first_column(page: Path, header: str) -> list[str]:
    """Names in the first column of the tables whose first header is this one."""
    return [name for rows in tables(page) if rows[0][0] == header for row in rows[1:] for name in named(row[0])]
