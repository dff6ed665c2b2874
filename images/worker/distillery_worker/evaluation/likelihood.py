"""How likely a language model finds a text: negative log-likelihoods, a few positions at a time."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from peft import PeftModel
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel

from ..data.blocks import Block, collate, predicted_ids, predicting
from ..devices import device_of
from ..losses.chunked import CHUNK_LOGITS

BATCH_TOKENS = 4096


def model_inputs(model: torch.nn.Module, blocks: Sequence[Block]) -> dict[str, Tensor]:
    """The blocks as a padded batch where the model is, by the names of its inputs."""
    device = device_of(model)
    return {name: torch.from_numpy(array).to(device) for name, array in collate(blocks)._asdict().items()}


def hidden_states(model: PreTrainedModel | PeftModel, blocks: Sequence[Block], inputs: Mapping[str, Tensor]) -> Tensor:
    """Final states of the positions that predict a token that counts, block after block: [sum of predicted, width].

    inputs: what `model_inputs` gives for the blocks
    """
    states: Tensor = without_adapters(model).base_model(**inputs, use_cache=False).last_hidden_state
    return states[torch.from_numpy(predicting(blocks, states.shape[1])).to(states.device)]


def head_of(model: PreTrainedModel | PeftModel) -> Tensor:
    """The weight that turns final states into logits: [vocabulary, width]."""
    weight: Tensor = without_adapters(model).get_output_embeddings().weight
    return weight


def without_adapters(model: PreTrainedModel | PeftModel) -> PreTrainedModel:
    """The model under the wrapper of its adapters, which stay in its layers."""
    return model.get_base_model() if isinstance(model, PeftModel) else model


def batches(blocks: Sequence[Block]) -> list[list[int]]:
    """Indices of blocks that share a batch of at most BATCH_TOKENS, padding included, longest first."""
    order = sorted(range(len(blocks)), key=lambda index: -len(blocks[index]))
    found: list[list[int]] = []
    for index in order:
        if not found or (len(found[-1]) + 1) * len(blocks[found[-1][0]]) > BATCH_TOKENS:
            found.append([])
        found[-1].append(index)
    return found


@torch.inference_mode()
def mean_losses(model: PreTrainedModel, blocks: Sequence[Block]) -> NDArray[np.float32]:
    """Mean NLL of each block's predicted tokens, in nats: float32 [blocks]."""
    head, losses = head_of(model), np.empty(len(blocks), dtype=np.float32)
    for chosen in batches(blocks):
        part = [blocks[index] for index in chosen]
        states = hidden_states(model, part, model_inputs(model, part))
        nll = token_losses(states, head, torch.from_numpy(predicted_ids(part)))
        ends = np.cumsum([block.predicted for block in part])[:-1]
        losses[chosen] = [piece.mean() for piece in np.split(nll, ends)]
    return losses


def token_losses(hidden: Tensor, head: Tensor, gold: Tensor) -> NDArray[np.float64]:
    """NLL of each gold token in nats: [tokens]. hidden: [tokens, width]; head: [vocabulary, width]; gold: [tokens]"""
    step = max(1, CHUNK_LOGITS // len(head))
    chunks = zip(torch.split(hidden, step), torch.split(gold.to(hidden.device), step), strict=True)
    parts = [functional.cross_entropy((states @ head.T).float(), ids, reduction="none") for states, ids in chunks]
    losses: NDArray[np.float64] = torch.cat(parts).cpu().numpy().astype(np.float64)
    return losses


def mean_loss(model: PreTrainedModel, blocks: Sequence[Block]) -> float:
    """Mean NLL of all predicted tokens, in nats."""
    tokens = np.array([block.predicted for block in blocks], dtype=np.float64)
    return float(mean_losses(model, blocks).astype(np.float64) @ tokens / tokens.sum())
