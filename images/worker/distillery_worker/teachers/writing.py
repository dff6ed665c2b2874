"""Answers of a language model to prompts, the likeliest token each time or drawn, whoever shares their batch."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import GenerationConfig, LogitsProcessorList, PreTrainedModel

from ..devices import device_of
from ..labels.codecs import TextCodec
from ..labels.sampling import draw, uniforms

BATCH_TOKENS, BATCH_ROWS = 2**15, 64  # prompt and answer of all rows that are written together, padding included
Ids = Sequence[int]


class Draws:
    """A LogitsProcessor that leaves one token at each step, drawn at a temperature.

    numbers: what decides the draws, in [0, 1): float64 [rows, steps]
    """

    def __init__(self, numbers: Tensor, temperature: float, prompt: int) -> None:
        self.numbers, self.temperature, self.prompt = numbers, temperature, prompt

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Scores [rows, vocabulary] of which the drawn token's alone is finite."""
        step = input_ids.shape[1] - self.prompt
        drawn = draw(scores, self.numbers[:, step : step + 1], self.temperature)
        return torch.full_like(scores, -torch.inf).scatter(1, drawn.long(), 0.0)


def batches(prompts: Sequence[Ids], new_tokens: int) -> list[list[int]]:
    """Indices of prompts that are answered together, longest first."""
    order = sorted(range(len(prompts)), key=lambda index: -len(prompts[index]))
    found: list[list[int]] = []
    while order:
        rows = max(1, min(BATCH_ROWS, BATCH_TOKENS // (len(prompts[order[0]]) + new_tokens)))
        found.append(order[:rows])
        order = order[rows:]
    return found


@torch.inference_mode()
def write(
    model: PreTrainedModel, ends: Sequence[int], codec: TextCodec, keys: Sequence[str], prompts: Sequence[Ids]
) -> list[tuple[list[int], bool]]:
    """Ids of the answer to each prompt without its end, and whether it has one. ends: tokens that end an answer

    The draws of a row come from its key and the codec's seed alone. What generation_config.json says is not heeded: the
    codec says all that the answers depend on.
    """
    width, device = max(map(len, prompts)), device_of(model)
    ids, mask = (torch.from_numpy(array).to(device) for array in padded(prompts, width, ends[0]))
    draws = LogitsProcessorList()
    if codec.temperature is not None:
        numbers = [uniforms(key, codec.seed or 0, codec.max_new_tokens, 1)[:, 0] for key in keys]
        draws.append(Draws(torch.from_numpy(np.stack(numbers)).to(device), codec.temperature, width))
    config = GenerationConfig(
        max_new_tokens=codec.max_new_tokens, do_sample=False, eos_token_id=list(ends), pad_token_id=ends[0]
    )
    with generating_by(model, config):
        written = model.generate(input_ids=ids, attention_mask=mask, logits_processor=draws)
    return [up_to_end(row, ends) for row in written[:, width:].tolist()]


@contextmanager
def generating_by(model: PreTrainedModel, config: GenerationConfig) -> Iterator[None]:
    """Inside, the model's own generation_config, from which generate() takes what it is not told, says nothing else."""
    own, model.generation_config = model.generation_config, config
    try:
        yield
    finally:
        model.generation_config = own


def padded(prompts: Sequence[Ids], width: int, filler: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Ids and mask int64 [prompts, width], padded on the left: answers begin at one place."""
    ids = np.full((len(prompts), width), filler, dtype=np.int64)
    mask = np.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        ids[row, width - len(prompt) :] = prompt
        mask[row, width - len(prompt) :] = 1
    return ids, mask


def up_to_end(ids: list[int], ends: Sequence[int]) -> tuple[list[int], bool]:
    """The ids before the first end, and whether there is one."""
    first = next((place for place, token in enumerate(ids) if token in ends), None)
    return ids[:first], first is not None
