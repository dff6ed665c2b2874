"""LoRA adapters (arXiv 2106.09685): put on a student before training, merged into its weights afterwards."""

from collections.abc import Sequence

import torch
from distillery_api.student import Lora
from peft import LoraConfig, PeftModel, get_peft_model
from torch import nn
from transformers import PreTrainedModel

from ..errors import InputRefused
from ..layers import layers_of

FIELD = "student.lora"


def add_adapters(model: PreTrainedModel, lora: Lora, seed: int) -> PeftModel:
    """The model with adapters on its layers' linear modules; these and the heads are all that training changes.

    Raises InputRefused (ModelUnsupported) when a target names no linear module.
    """
    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=target_modules(model, lora.targets),
        modules_to_save=heads_of(model) or None,
    )
    torch.manual_seed(seed)
    return get_peft_model(model, config)


def merged(model: PreTrainedModel | PeftModel) -> PreTrainedModel:
    """The model that serves: adapters added into the weights they adapt; others are given back as they are."""
    return model.merge_and_unload() if isinstance(model, PeftModel) else model


def target_modules(model: PreTrainedModel, targets: Sequence[str]) -> list[str]:
    """Full names of the linear modules in the layers whose last part is a target; all of them without targets."""
    prefix = next(name for name, module in model.named_modules() if module is layers_of(model, FIELD))
    linear = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    inside = [name for name in linear if name.startswith(f"{prefix}.")]
    known = {name.rpartition(".")[2] for name in inside}
    if unknown := sorted(set(targets) - known):
        raise InputRefused(
            "ModelUnsupported",
            f"student.lora.targets: the layers have no linear module {unknown[0]};"
            f" name some of {', '.join(sorted(known))}",
        )
    return [name for name in inside if not targets or name.rpartition(".")[2] in targets]


def heads_of(model: PreTrainedModel) -> list[str]:
    """Names of the modules with weights outside the base model, such as a classifier; an lm_head is none."""
    output = model.get_output_embeddings()
    return [
        name
        for name, module in model.named_children()
        if name != model.base_model_prefix and module is not output and any(True for _ in module.parameters())
    ]
