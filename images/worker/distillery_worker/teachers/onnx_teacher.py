"""A teacher's folder with an ONNX file in place of weights: it answers, and shows nothing of its inside."""

from dataclasses import dataclass
from functools import cached_property
from math import prod
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedModel

from ..errors import InputRefused
from ..model_folders import ONNX
from .onnx_model import OnnxModel
from .text import TextTeacher

TEXT_INPUTS = frozenset({"input_ids", "attention_mask", "token_type_ids"})


@dataclass
class OnnxTeacher(TextTeacher):
    """config.json names its labels and tokenizer.json makes its inputs, as for a model with weights."""

    @cached_property
    def network(self) -> OnnxModel:
        """The graph. Raises InputRefused (ModelUnsupported, WeightsCorrupt)."""
        network = OnnxModel(only_file(self), self.uri, torch.get_num_threads())
        network.check_inputs(TEXT_INPUTS)
        return network

    def load(self) -> PreTrainedModel:
        """Refused."""
        raise InputRefused(
            "ModelUnsupported",
            f"teachers: {self.uri} is an ONNX file, a black box, and the job looks into the teacher's layers;"
            " add safetensors weights, or use the teacher's answers alone",
        )

    def embeddings(self) -> Tensor:
        """None to start from: [vocabulary, 0]"""
        return torch.zeros(self.encoder.vocabulary, 0)

    def predict(self, batch: NamedTuple) -> NDArray[np.float32]:
        """Outputs float32 [rows, outputs]; every token is of the first segment."""
        arrays = batch._asdict()
        return self.network.logits({**arrays, "token_type_ids": np.zeros_like(arrays["input_ids"])})

    def parameters(self) -> int:
        """Numbers in the graph's initializers."""
        graph = onnx.load(only_file(self), load_external_data=False).graph
        return sum(prod(tensor.dims) for tensor in graph.initializer)


def onnx_teacher(folder: TextTeacher) -> OnnxTeacher:
    """The teacher of a folder without weights. Raises InputRefused (ModelUnsupported) unless it has one ONNX file."""
    teacher = OnnxTeacher(**vars(folder))
    only_file(teacher)
    return teacher


def only_file(teacher: OnnxTeacher) -> Path:
    """The ONNX file of the folder."""
    files = sorted(teacher.path.glob(f"*{ONNX}"))
    if len(files) != 1:
        raise InputRefused(
            "ModelUnsupported",
            f"teachers[0].model: {teacher.uri} has {len(files)} .onnx files at its top; keep the one that shall answer",
        )
    return files[0]
