"""A classifier as an ONNX graph: input_ids and attention_mask int64 [batch, seq] to logits float32 [batch, labels]."""

import warnings
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

OPSET = 18
FREE = {0: "batch", 1: "seq"}


class Logits(nn.Module):
    """The model with two inputs and one output."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Logits [batch, labels]."""
        logits: Tensor = self.model(input_ids=input_ids, attention_mask=attention_mask).logits
        return logits


def export_onnx(model: PreTrainedModel, path: Path) -> None:
    """Write one self-contained .onnx file; the same weights give the same bytes.

    By the tracing exporter: the graph is as fast as the one of torch.export and is made in under a second instead of
    ten. It warns about branches that depend on data; that none matters is checked afterwards, on real rows.
    """
    ids = torch.ones(2, 7, dtype=torch.int64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Logits(model).eval().cpu(),  # where the graph is served
            (ids, torch.ones_like(ids)),
            path,
            input_names=["input_ids", "attention_mask"],
            output_names=["logits"],
            dynamic_axes={"input_ids": FREE, "attention_mask": FREE, "logits": {0: "batch"}},
            opset_version=OPSET,
            dynamo=False,
        )
