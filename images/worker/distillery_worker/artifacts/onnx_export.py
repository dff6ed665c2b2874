"""Models as ONNX graphs: inputs by name to logits float32 [batch, outputs].

Of texts: input_ids and attention_mask int64 [batch, seq]. Of images: pixel_values float32 [batch, channels, height,
width].
"""

import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

OPSET = 18
MODEL_FILE = "model.onnx"
BATCH, SEQUENCE = {0: "batch"}, {0: "batch", 1: "seq"}


class Logits(nn.Module):
    """The model with inputs by position and one output."""

    def __init__(self, model: PreTrainedModel, names: Sequence[str]) -> None:
        super().__init__()
        self.model, self.names = model, tuple(names)

    def forward(self, *inputs: Tensor) -> Tensor:
        """Logits [batch, outputs]."""
        logits: Tensor = self.model(**dict(zip(self.names, inputs, strict=True))).logits
        return logits


def export_text_model(model: PreTrainedModel, path: Path) -> None:
    """Write one self-contained .onnx file."""
    ids = torch.ones(2, 7, dtype=torch.int64)
    axes = {"input_ids": SEQUENCE, "attention_mask": SEQUENCE}
    export_onnx(model, {"input_ids": ids, "attention_mask": torch.ones_like(ids)}, axes, path)


def export_image_model(model: PreTrainedModel, channels: int, height: int, width: int, path: Path) -> None:
    """Write one self-contained .onnx file, for images of this size."""
    export_onnx(model, {"pixel_values": torch.zeros(2, channels, height, width)}, {"pixel_values": BATCH}, path)


def export_onnx(model: PreTrainedModel, inputs: dict[str, Tensor], free: dict[str, dict[int, str]], path: Path) -> None:
    """Write one self-contained .onnx file; the same weights give the same bytes.

    By the tracing exporter: the graph is as fast as the one of torch.export and is made in under a second instead of
    ten. It warns about branches that depend on data; that none matters is checked afterwards, on real rows.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Logits(model, list(inputs)).eval().cpu(),  # where the graph is served
            tuple(inputs.values()),
            path,
            input_names=list(inputs),
            output_names=["logits"],
            dynamic_axes=free | {"logits": BATCH},
            opset_version=OPSET,
            dynamo=False,
        )
