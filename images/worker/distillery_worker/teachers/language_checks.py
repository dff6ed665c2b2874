"""What a language model must hold to before anything is paid for."""

from collections.abc import Sequence
from math import log

import torch
from transformers import PreTrainedModel

from ..data.blocks import Block
from ..data.language_tokenizer import LanguageTokenizer
from ..errors import InputRefused
from ..evaluation.likelihood import head_of, hidden_states, mean_loss, model_inputs

LOGIT_TOLERANCE = 1e-3  # share of the largest logit


def check_end(model: PreTrainedModel, tokenizer: LanguageTokenizer, uri: str) -> None:
    """The token that ends texts is one at which the model stops; else students learn never to stop."""
    known = stops_of(model)
    if tokenizer.end is not None and known and tokenizer.end not in known:
        raise InputRefused(
            "TokenizerMismatch",
            f"teachers[0].model: texts end with token {tokenizer.end} by the tokenizer of {uri}, and the model stops at"
            f" {sorted(known)}; make eos_token in tokenizer_config.json and eos_token_id in generation_config.json the"
            " same token",
        )


def stops_of(model: PreTrainedModel) -> set[int]:
    """The tokens at which the model stops."""
    config = model.generation_config or model.config
    stops = config.eos_token_id
    return {stops} if isinstance(stops, int) else set(stops or ())


@torch.inference_mode()
def check_output_layer(model: PreTrainedModel, block: Block, what: str) -> None:
    """Logits are the final states times one weight: that is how they are made again from a few positions at a time."""
    inputs = model_inputs(model, [block])
    logits = model(**inputs).logits[0, block.first - 1 : -1]
    again = hidden_states(model, [block], inputs) @ head_of(model).T
    difference = float((logits - again).abs().max())
    if not difference <= LOGIT_TOLERANCE * max(1.0, float(logits.abs().max())):
        raise InputRefused(
            "ModelUnsupported",
            f"{what} makes logits by more than one linear layer on its final states (they differ by {difference:.2g});"
            " use a model without bias, scaling or capping there",
        )


def check_likelihood(model: PreTrainedModel, blocks: Sequence[Block], uri: str) -> float:
    """The mean NLL of the blocks' tokens in nats. Raises InputRefused (TeacherUnfit) where guessing is as good."""
    nll, chance = mean_loss(model, blocks), log(len(head_of(model)))
    if not nll < chance:  # NaN too
        raise InputRefused(
            "TeacherUnfit",
            f"teachers[0].model: {uri} gives the first rows of dataset.train {nll:.2f} nats per token, no better than"
            f" guessing ({chance:.2f}); check that tokenizer, chat template and weights belong together",
        )
    return nll
