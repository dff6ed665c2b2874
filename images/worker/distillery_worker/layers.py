"""The layers of a transformer: where they are, and what passes through them. Layers are counted from 1."""

import copy
from collections.abc import Iterable
from typing import Any, NamedTuple

from torch import Tensor, nn
from transformers import PreTrainedModel

from .errors import InputRefused

# Names that the architectures of transformers give to the three projections of self-attention.
PROJECTIONS = (
    ("query", "key", "value"),
    ("q_proj", "k_proj", "v_proj"),
    ("q_lin", "k_lin", "v_lin"),
    ("q", "k", "v"),
)


class Projected(NamedTuple):
    """Queries, keys and values of one layer: [rows, positions, width] each."""

    query: Tensor
    key: Tensor
    value: Tensor


def layers_of(model: PreTrainedModel, field: str) -> nn.ModuleList:
    """The stack of layers, the first one being layer 1. Raises InputRefused (ModelUnsupported)."""
    count = model.config.num_hidden_layers
    stacks = [module for module in model.modules() if isinstance(module, nn.ModuleList) and len(module) == count]
    if len(stacks) != 1:
        raise InputRefused(
            "ModelUnsupported",
            f"{field}: no single stack of {count} layers was found in a {model.config.model_type} model;"
            " use a model whose layers are separate and of one kind, such as BERT",
        )
    return stacks[0]


def layer_at(model: PreTrainedModel, number: int, field: str) -> nn.Module:
    """The layer of this number. Raises InputRefused (ModelUnsupported) when there are fewer."""
    layers = layers_of(model, field)
    if not 1 <= number <= len(layers):
        raise InputRefused(
            "ModelUnsupported",
            f"{field}: there is no layer {number} in a model of {len(layers)}; give a number from 1 to {len(layers)}",
        )
    return layers[number - 1]


def projections_of(layer: nn.Module, field: str) -> tuple[nn.Module, nn.Module, nn.Module]:
    """The modules that make a layer's queries, keys and values. Raises InputRefused (ModelUnsupported)."""
    named = {name.rpartition(".")[2]: module for name, module in layer.named_modules()}
    for query, key, value in PROJECTIONS:
        if query in named and key in named and value in named:
            return named[query], named[key], named[value]
    raise InputRefused(
        "ModelUnsupported",
        f"{field}: the layers have no separate linear layers for queries, keys and values;"
        " use a model that has them, such as BERT, DistilBERT, RoBERTa or ViT, or leave the field out",
    )


class Recorder:
    """What chosen layers gave in the model's last forward pass, with its gradients; hooks cost no extra pass."""

    def __init__(self, model: PreTrainedModel, hidden: Iterable[int], attention: Iterable[int], field: str) -> None:
        self.hidden: dict[int, Tensor] = {}  # outputs by layer, [rows, positions, width]
        self.projections: dict[tuple[int, int], Tensor] = {}
        for number in sorted(set(hidden)):
            self.watch(layer_at(model, number, field), self.hidden, number)
        for number in sorted(set(attention)):
            for part, module in enumerate(projections_of(layer_at(model, number, field), field)):
                self.watch(module, self.projections, (number, part))

    def watch(self, module: nn.Module, kept: dict[Any, Tensor], key: object) -> None:
        """Keep the module's output under this key."""

        def keep(_module: nn.Module, _inputs: object, output: Tensor | tuple[Tensor, ...]) -> None:
            kept[key] = output if isinstance(output, Tensor) else output[0]  # some layers give attentions besides

        module.register_forward_hook(keep)

    def projected(self, number: int) -> Projected:
        """Queries, keys and values of a layer."""
        return Projected(*(self.projections[number, part] for part in range(3)))


def first_layers(model: PreTrainedModel, number: int, field: str) -> PreTrainedModel:
    """The model without the layers above this one, which a forward pass for its output need not pay for.

    It shares its weights with the model.
    """
    layer_at(model, number, field)
    shared = {id(tensor): tensor for tensor in [*model.parameters(), *model.buffers()]}
    short = copy.deepcopy(model, shared)
    del layers_of(short, field)[number:]
    short.config.num_hidden_layers = number
    return short
