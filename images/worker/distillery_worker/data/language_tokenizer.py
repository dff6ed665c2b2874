"""The tokenizer that a language model and its student share: texts to token ids, as the model was trained on them."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from ..errors import InputRefused
from .blocks import Asked, Block, cut
from .files import first_line

Text = str | tuple[str, str]  # a document, or a prompt and its response


class LanguageTokenizer:
    """A folder's tokenizer, with the length of a block in tokens."""

    def __init__(self, folder: Path, length: int) -> None:
        self.folder, self.length = folder, length

    @cached_property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """Read from the folder. Raises InputRefused (ModelUnsupported)."""
        try:
            return AutoTokenizer.from_pretrained(self.folder, local_files_only=True, trust_remote_code=False)
        except Exception as error:  # whatever the libraries raise, the folder does not load
            raise InputRefused(
                "ModelUnsupported",
                f"teachers[0].model: the tokenizer does not load: {first_line(error)}; save it again with the model",
            ) from error

    @property
    def vocabulary(self) -> int:
        """One more than the largest id that it can give: what embeddings need, without any padding."""
        return int(max(self.tokenizer.get_vocab().values())) + 1

    @property
    def end(self) -> int | None:
        """The token that ends a text, if there is one."""
        end: int | None = self.tokenizer.eos_token_id
        return end

    def encode(self, inputs: Sequence[Block]) -> list[Block]:
        """The blocks themselves, whose tokens are known."""
        return list(inputs)

    def collate(self, rows: Sequence[Block]) -> Asked:
        """The blocks as one batch."""
        return Asked(rows)

    def blocks(self, text: Text) -> list[Block]:
        """What a document, or a prompt with its response, is cut into. Raises InputRefused (PromptTooLong)."""
        return self.document(text) if isinstance(text, str) else [self.pair(*text)]

    def document(self, text: str) -> list[Block]:
        """The blocks of a text, which ends with the end token."""
        return cut(self.ended(self.tokenizer(text, verbose=False)["input_ids"]), self.length)

    def ended(self, ids: list[int]) -> list[int]:
        """The ids with the end token, which some tokenizers give themselves."""
        return ids if self.end is None or ids[-1:] == [self.end] else [*ids, self.end]

    def pair(self, prompt: str, response: str) -> Block:
        """One block, cut at its length, whose response alone is predicted. Raises InputRefused (PromptTooLong)."""
        before, ids = self.chat(prompt, response) if self.tokenizer.chat_template else self.joined(prompt, response)
        block = Block(np.asarray(ids[: self.length], dtype=np.int32), max(1, len(before)))
        if block.predicted < 1:
            raise InputRefused(
                "PromptTooLong",
                f"dataset.columns.prompt: the prompt '{prompt[:40]}…' has {len(before):,} tokens, which leave none of"
                f" the {self.length:,} of a block to its response; shorten it or raise dataset.sequenceLength",
            )
        return block

    def asked(self, prompt: str) -> list[int]:
        """Ids of a prompt up to where the model answers. Raises InputRefused (ModelUnsupported)."""
        if self.tokenizer.chat_template:
            return self.rendered([user(prompt)], add_generation_prompt=True)
        ids: list[int] = self.tokenizer(prompt, verbose=False)["input_ids"]
        return ids

    def check_room(self, prompt: str, answer: int) -> None:
        """Raise InputRefused (PromptTooLong) where an answer of so many tokens does not fit into the prompt's block."""
        if (taken := len(self.asked(prompt))) + answer > self.length:
            raise InputRefused(
                "PromptTooLong",
                f"dataset.columns.prompt: the prompt '{prompt[:40]}…' has {taken:,} tokens, which with"
                f" softLabels.maxNewTokens of {answer:,} are more than the {self.length:,} of a block; shorten it,"
                " lower maxNewTokens or raise dataset.sequenceLength",
            )

    def words(self, ids: Sequence[int]) -> str:
        """The text of ids that a model gave, without special tokens."""
        text: str = self.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text

    def joined(self, prompt: str, response: str) -> tuple[list[int], list[int]]:
        """Ids of the prompt, and of all with the end token: tokenized apart, so that the border is a token's."""
        before = self.asked(prompt)
        after: list[int] = self.tokenizer(response, add_special_tokens=False, verbose=False)["input_ids"]
        return before, self.ended([*before, *after])

    def chat(self, prompt: str, response: str) -> tuple[list[int], list[int]]:
        """Ids of the template up to where the model answers, and with the answer. Raises InputRefused."""
        before = self.asked(prompt)
        ids = self.rendered([user(prompt), {"role": "assistant", "content": response}])
        if ids[: len(before)] != before:
            raise InputRefused(
                "ModelUnsupported",
                "teachers[0].model: the chat template gives a prompt other tokens once it is answered, so that the"
                " response's cannot be told; mend chat_template, or put whole texts into columns.text",
            )
        return before, ids

    def rendered(self, messages: list[dict[str, str]], **options: Any) -> list[int]:
        """Token ids of a conversation. Raises InputRefused (ModelUnsupported) where the template fails."""
        try:
            ids = self.tokenizer.apply_chat_template(messages, tokenize=True, return_dict=False, **options)
        except Exception as error:  # templates raise what they like
            raise InputRefused(
                "ModelUnsupported",
                f"teachers[0].model: the chat template fails: {first_line(error)}; mend chat_template",
            ) from error
        return list(ids)


def user(prompt: str) -> dict[str, str]:
    """The turn of a conversation that asks."""
    return {"role": "user", "content": prompt}
