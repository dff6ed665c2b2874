"""Answers of a language model to prompts, the likeliest token each time or drawn, whoever shares their batch."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import GenerationConfig, LogitsProcessorList, PreTrainedModel

from ..devices import device_of
from ..labels.codecs import TextCodec
from ..labels.sampling import draw, uniforms

BATCH_TOKENS, BATCH_ROWS = 2**15, 64  # prompt and answer of all rows that are written together, padding included
Ids = Sequence[int]


class Written(NamedTuple):
    """Ids of an answer without its end, whether it has one, and the mean log-likelihood of a token, the end included.

    log_likelihood: under the model at temperature 1, in nats
    """

    ids: list[int]
    finished: bool
    log_likelihood: float


class Choices:
    """A LogitsProcessor that leaves one token at each step: the likeliest, or one drawn at a temperature.

    numbers: what decides the draws, in [0, 1): float64 [rows, steps]; None for the likeliest token
    log_likelihoods: of the tokens it left, at temperature 1, in nats: [rows] for each step
    """

    def __init__(self, numbers: Tensor | None, temperature: float) -> None:
        self.numbers, self.temperature = numbers, temperature
        self.log_likelihoods: list[Tensor] = []

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Scores [rows, vocabulary] of which the chosen token's alone is finite."""
        chosen = self.choose(scores)
        self.log_likelihoods.append(scores.gather(1, chosen).squeeze(1) - scores.logsumexp(dim=1))
        return torch.full_like(scores, -torch.inf).scatter(1, chosen, 0.0)

    def choose(self, scores: Tensor) -> Tensor:
        """A token for each row: [rows, 1]."""
        if self.numbers is None:
            return scores.argmax(dim=1, keepdim=True)
        step = len(self.log_likelihoods)
        return draw(scores, self.numbers[:, step : step + 1], self.temperature).long()


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
) -> list[Written]:
    """The answer to each prompt. ends: tokens that end an answer

    The draws of a row come from its key and the codec's seed alone. What generation_config.json says is not heeded: the
    codec says all that the answers depend on.
    """
    width, device = max(map(len, prompts)), device_of(model)
    ids, mask = (torch.from_numpy(array).to(device) for array in padded(prompts, width, ends[0]))
    choices = Choices(numbers_of(codec, keys, device), codec.temperature or 1.0)
    config = GenerationConfig(
        max_new_tokens=codec.max_new_tokens, do_sample=False, eos_token_id=list(ends), pad_token_id=ends[0]
    )
    with generating_by(model, config):
        rows = model.generate(input_ids=ids, attention_mask=mask, logits_processor=LogitsProcessorList([choices]))
    likelihoods = torch.stack(choices.log_likelihoods, dim=1).double().cpu().numpy()
    return [written(row, each, ends) for row, each in zip(rows[:, width:].tolist(), likelihoods, strict=True)]


def numbers_of(codec: TextCodec, keys: Sequence[str], device: torch.device) -> Tensor | None:
    """What decides the draws of rows with these keys, float64 [rows, steps]; None where nothing is drawn."""
    if codec.temperature is None:
        return None
    numbers = [uniforms(key, codec.seed or 0, codec.max_new_tokens, 1)[:, 0] for key in keys]
    return torch.from_numpy(np.stack(numbers)).to(device)


@contextmanager
def generating_by(model: PreTrainedModel, config: GenerationConfig) -> Iterator[None]:
    """Inside, the model's own generation_config, from which generate() takes what it is not told, says nothing else."""
    own, model.generation_config = model.generation_config, config
    try:
        yield
    finally:
        model.generation_config = own


def padded(prompts: Sequence[Ids], width: int, filler: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Ids and mask int64 [prompts, width], padded on the left: answers begin at one place."""
    ids = np.full((len(prompts), width), filler, dtype=np.int64)
    mask = np.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        ids[row, width - len(prompt) :] = prompt
        mask[row, width - len(prompt) :] = 1
    return ids, mask


def written(ids: list[int], log_likelihoods: NDArray[np.float64], ends: Sequence[int]) -> Written:
    """What stands before the first end. log_likelihoods: of each token, [tokens]"""
    first = next((place for place, token in enumerate(ids) if token in ends), None)
    counted = log_likelihoods if first is None else log_likelihoods[: first + 1]
    return Written(ids[:first], first is not None, float(counted.mean()))
