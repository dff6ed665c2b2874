"""How text becomes token ids: truncated to a fixed limit, padded to the longest row of its batch."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

Text = str | tuple[str, str]  # a text, or a query and the text that is scored against it


class Batch(NamedTuple):
    """Model input: both int64 [rows, longest row]."""

    input_ids: NDArray[np.int64]
    attention_mask: NDArray[np.int64]


class TextTokenizer:
    """A tokenizer.json with our own limit in place of the truncation and padding stored in it. Thread-safe."""

    def __init__(self, path: Path, max_length: int, pad_token_id: int) -> None:
        self._tokenizer = Tokenizer.from_file(str(path))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_length)
        self._pad = pad_token_id

    @property
    def vocabulary(self) -> int:
        """How many token ids there are."""
        return int(self._tokenizer.get_vocab_size())

    def encode(self, texts: Sequence[Text]) -> list[list[int]]:
        """Token ids of each text, special tokens included, at most max_length each; of a pair the longer one is cut."""
        if len(texts) == 1:  # encode_batch wakes a thread pool, which costs more than one short text
            text, second = texts[0] if isinstance(texts[0], tuple) else (texts[0], None)
            return [self._tokenizer.encode(text, second).ids]
        return [encoding.ids for encoding in self._tokenizer.encode_batch_fast(list(texts))]

    def batch(self, texts: Sequence[Text]) -> Batch:
        """Padded input of the texts (at least one)."""
        return self.collate(self.encode(texts))

    def collate(self, rows: Sequence[Sequence[int]]) -> Batch:
        """Token ids as one rectangle; attention is 0 on padding."""
        width = max(1, *map(len, rows)) if rows else 1
        input_ids = np.full((len(rows), width), self._pad, dtype=np.int64)
        mask = np.zeros((len(rows), width), dtype=np.int64)
        for index, row in enumerate(rows):
            input_ids[index, : len(row)] = row
            mask[index, : len(row)] = 1
        return Batch(input_ids, mask)
