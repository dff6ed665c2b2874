"""From the teacher's final hidden states to labels, a chunk of positions at a time: a batch's logits never exist."""

import numpy as np
import torch
from torch import Tensor

from ..errors import InputRefused
from .codecs import Codec, GradesCodec, HiddenCodec, LogitsCodec, SampledCodec, TextCodec, TopKCodec
from .sampling import draw, uniforms
from .segments import RowLabels

# Of one chunk. 16 MiB in float32 are memory that a process on a CPU keeps; of twice as many, pages are asked of the
# kernel again for every chunk.
CPU_LOGITS, GPU_LOGITS = 2**22, 2**23
LEAST_POSITIONS = 64  # of one chunk: each product reads the whole head


@torch.inference_mode()
def label_rows(codec: Codec, hidden: Tensor, head: Tensor, rows: list[tuple[str, int]]) -> list[RowLabels]:
    """Labels of rows, each a row key and its positions, whose states lie one after the other in `hidden`.

    hidden: [positions of all rows, width]; head: the weight [vocabulary, width] that turns states into logits.
    Raises InputRefused: WeightsCorrupt for a state that is no number, ModelUnsupported for one too large to store.
    """
    if not bool(torch.isfinite(hidden).all()):
        raise InputRefused(
            "WeightsCorrupt", "teachers[0].model: a hidden state is NaN or infinite for some rows; upload sound weights"
        )
    numbers = numbers_of(codec, rows).to(hidden.device)
    step = max(LEAST_POSITIONS, (CPU_LOGITS if head.device.type == "cpu" else GPU_LOGITS) // len(head))
    chunks = zip(torch.split(hidden, step), torch.split(numbers, step), strict=True)
    parts = [measure(codec, states, head, part) for states, part in chunks]
    ends = np.cumsum([positions for _, positions in rows])[:-1]
    by_column = {name: np.split(torch.cat([part[name] for part in parts]).numpy(), ends) for name in parts[0]}
    return [{name: split[row] for name, split in by_column.items()} for row in range(len(rows))]


def numbers_of(codec: Codec, rows: list[tuple[str, int]]) -> Tensor:
    """What decides the draws of each position: float64 [positions of all rows, samples]; no samples, no numbers."""
    if not isinstance(codec, SampledCodec):
        return torch.zeros(sum(positions for _, positions in rows), 0, dtype=torch.float64)
    return torch.from_numpy(np.concatenate([uniforms(key, codec.seed, count, codec.samples) for key, count in rows]))


def measure(codec: Codec, hidden: Tensor, head: Tensor, numbers: Tensor) -> dict[str, Tensor]:
    """The codec's columns for a few positions, on the CPU: each [positions, width of the column]."""
    match codec:
        case SampledCodec():
            columns = {"draws": draw(hidden @ head.T, numbers, codec.temperature)}
        case TopKCodec():
            columns = most_probable(hidden @ head.T, codec)
        case LogitsCodec():
            columns = {"logits": (hidden @ head.T).float()}
        case HiddenCodec():
            columns = {"hidden": half(hidden)}
        case TextCodec() | GradesCodec():
            raise TypeError(f"{codec.kind} labels are written, not measured at positions")
    return {name: values.cpu() for name, values in columns.items()}


def most_probable(logits: Tensor, codec: TopKCodec) -> dict[str, Tensor]:
    """The k most probable ids in ascending order, their log-probabilities, and the log of what is left."""
    log_probs = torch.log_softmax(logits.float() / codec.temperature, dim=-1)
    ids = log_probs.topk(codec.k).indices.sort(dim=-1).values
    tail = log_probs.scatter(1, ids, -torch.inf).logsumexp(dim=-1, keepdim=True)
    return {"ids": ids.int(), "log_probs": log_probs.gather(1, ids).half(), "log_tail": tail.half()}


def half(hidden: Tensor) -> Tensor:
    """The states in float16. Raises InputRefused where one is out of range."""
    if hidden.numel() and float(hidden.abs().max()) > torch.finfo(torch.float16).max:
        raise InputRefused(
            "ModelUnsupported",
            "softLabels.kind: a hidden state of the teacher is above 65,504, the largest float16;"
            " use sampled, topK or logits",
        )
    return hidden.half()
