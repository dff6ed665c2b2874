"""A language model in torch, asked as the engine of an artifact is."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel

from ..data.blocks import Asked, Block
from ..data.language_tokenizer import LanguageTokenizer
from .likelihood import mean_losses


class LanguageEngine:
    """How likely blocks are, on a fixed number of threads."""

    def __init__(self, model: PreTrainedModel, encoder: LanguageTokenizer, threads: int) -> None:
        self.model, self.encoder, self.threads = model.eval(), encoder, threads

    def outputs(self, blocks: Sequence[Block]) -> NDArray[np.float32]:
        """Mean NLL of each block's predicted tokens: [blocks, 1]."""
        with torch_threads(self.threads):
            return mean_losses(self.model, blocks)[:, None]

    def run(self, batch: Asked) -> NDArray[np.float32]:
        """The same for blocks as one batch."""
        return self.outputs(batch.blocks)


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """So many threads for torch inside, as many as before after it."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
