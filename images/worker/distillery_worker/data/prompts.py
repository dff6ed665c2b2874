"""Rows of a language model that learns from what its teacher writes: prompts, with gold responses where there are any.

Rows are named by their prompts: the teacher answers each once, and a prompt is on one side of every split.
"""

from pathlib import Path

from distillery_api.dataset import Columns
from distillery_api.digests import digest_of
from distillery_storage.folders import file_digest

from .files import Rows, fetch_file, read_columns, row_groups, row_slices
from .language_tokenizer import LanguageTokenizer
from .text import checked_texts
from .views import Views

Answered = tuple[str, str]  # a prompt and its gold response
Exchange = tuple[str] | Answered  # the response where there is one


def prompt_key(prompt: str) -> str:
    """Name of a row in the label store: hex SHA-256 of its canonical form. Nothing is normalised."""
    return digest_of({"prompt": prompt}).removeprefix("sha256:")


def load_prompts(uri: str, field: str, columns: Columns, answered: bool, workdir: Path) -> Rows:
    """Read a file of the dataset; `field` names it in messages. Where it is `answered`, rows have gold responses.

    Raises InputRefused (DataUnreadable, MissingColumn, EmptyText, EmptyGroup) and storage errors.
    """
    path = fetch_file(uri, field, workdir)
    named = [column for column in (columns.prompt, columns.response if answered else None) if column]
    beside = [column for column in (columns.group, columns.slice) if column]
    table = read_columns(path, uri, field, [*named, *beside])
    rows: list[Exchange] = list(zip(*(checked_texts(table[column], field, column) for column in named), strict=True))
    groups = row_groups(table[columns.group], field, columns.group) if columns.group else None
    slices = row_slices(table, columns.slice)
    return Rows(rows, None, file_digest(path), [prompt_key(row[0]) for row in rows], groups, slices)


class PromptViews(Views):
    """Rows as they are, once their answers are known to fit into a block."""

    def __init__(self, tokenizer: LanguageTokenizer, answer: int) -> None:
        self.tokenizer, self.answer = tokenizer, answer

    def shown(self, row: Exchange, row_key: str, view: int) -> Exchange:
        """The row. Raises InputRefused (PromptTooLong)."""
        self.tokenizer.check_room(row[0], self.answer)
        return row
