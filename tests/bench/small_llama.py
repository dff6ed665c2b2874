"""Llamas that are made in place, with random weights: cost and shapes as real ones have, nothing to download."""

import torch
from transformers import LlamaConfig, LlamaForCausalLM

TEACHER = {"hidden_size": 256, "num_hidden_layers": 4, "num_attention_heads": 4}
STUDENT = {"hidden_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4}


def small_llama(
    vocabulary: int, shape: dict[str, int], logit_deviation: float = 1.0, seed: int = 0
) -> LlamaForCausalLM:
    """A model whose logits have about this standard deviation at every position: the larger, the surer it is."""
    torch.manual_seed(seed)
    width = shape["hidden_size"]
    config = LlamaConfig(
        **shape,
        vocab_size=vocabulary,
        intermediate_size=4 * width,
        num_key_value_heads=shape["num_attention_heads"],
        max_position_embeddings=512,
        tie_word_embeddings=False,
    )
    model = LlamaForCausalLM(config).eval()
    # States have a root mean square of 1 after the final norm.
    torch.nn.init.normal_(model.lm_head.weight, std=logit_deviation / width**0.5)
    return model
