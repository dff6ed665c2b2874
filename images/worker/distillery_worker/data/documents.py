"""Rows of a language model's data: documents, or prompts with the responses that are to be learned."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from distillery_api.dataset import Columns
from distillery_api.digests import digest_of
from distillery_storage.folders import file_digest

from .blocks import Block
from .files import Rows, fetch_file, read_columns, row_groups, row_slices
from .language_tokenizer import LanguageTokenizer, Text
from .text import checked_texts
from .views import Views


def document_key(text: Text) -> str:
    """Name of a row: hex SHA-256 of its canonical form. Nothing is normalised."""
    row = {"text": text} if isinstance(text, str) else {"prompt": text[0], "response": text[1]}
    return digest_of(row).removeprefix("sha256:")


def load_documents(uri: str, field: str, columns: Columns, workdir: Path) -> Rows:
    """Read a file of the dataset; `field` names it in messages.

    Raises InputRefused (DataUnreadable, MissingColumn, EmptyText, EmptyGroup) and storage errors.
    """
    path = fetch_file(uri, field, workdir)
    named = [columns.prompt, columns.response] if columns.prompt and columns.response else [columns.text]
    table = read_columns(path, uri, field, [column for column in (*named, columns.group, columns.slice) if column])
    parts = [checked_texts(table[column], field, column) for column in named if column]
    texts: list[Any] = parts[0] if len(parts) == 1 else list(zip(*parts, strict=True))
    groups = row_groups(table[columns.group], field, columns.group) if columns.group else None
    slices = row_slices(table, columns.slice)
    return Rows(texts, None, file_digest(path), [document_key(text) for text in texts], groups, slices)


def blocks_of(rows: Rows, tokenizer: LanguageTokenizer) -> Rows:
    """The rows cut into blocks, which are labelled, trained and judged on; those of a row share its group and slice.

    Raises InputRefused (PromptTooLong).
    """
    groups = rows.groups or rows.keys
    cut = [(block, row) for row, text in enumerate(rows.inputs) for block in tokenizer.blocks(text)]
    blocks = [block for block, _ in cut]
    slices = rows.slices and [rows.slices[row] for _, row in cut]
    known = rows.contaminated and [rows.contaminated[row] for _, row in cut]
    keys = [block.key for block in blocks]
    return Rows(blocks, None, rows.digest, keys, [groups[row] for _, row in cut], slices, known)


class BlockViews(Views):
    """Rows as the blocks that they are cut into."""

    def __init__(self, tokenizer: LanguageTokenizer) -> None:
        self.tokenizer = tokenizer

    def keys(self, rows: Rows) -> Iterator[str]:
        """Keys of the blocks."""
        return iter(blocks_of(rows, self.tokenizer).keys)

    def all(self, rows: Rows) -> Iterator[tuple[str, Block]]:
        """The blocks with their keys."""
        cut = blocks_of(rows, self.tokenizer)
        return zip(cut.keys, cut.inputs, strict=True)
