"""Rows of stored labels as what a batch's loss takes."""

import numpy as np
import torch
from torch import Tensor

from ..labels.codecs import DistributionCodec, HiddenCodec, LogitsCodec, SampledCodec, TopKCodec
from ..labels.segments import RowLabels
from ..losses.divergence import Divergence
from ..losses.token_targets import HiddenTargets, LogitsTargets, SampledTargets, TokenTargets, TopKTargets


def targets_of(codec: DistributionCodec, rows: list[RowLabels], head: Tensor | None, kind: Divergence) -> TokenTargets:
    """Targets of all positions of the rows, one row after the other, where `head` is (on the CPU without one).

    head: the teacher's, for hidden states alone. What `admits` refuses must not come here.
    """
    columns = {
        column.name: torch.from_numpy(np.concatenate([row[column.name] for row in rows])) for column in codec.columns
    }
    match codec:
        case SampledCodec():
            return SampledTargets(columns["draws"])
        case TopKCodec():
            # In float16 the masses add up to 1 only nearly.
            stored = torch.cat([columns["log_probs"], columns["log_tail"]], dim=1).float()
            return TopKTargets(columns["ids"], torch.log_softmax(stored, dim=1))
        case LogitsCodec():
            return LogitsTargets(columns["logits"], kind)
        case HiddenCodec():
            if head is None:
                raise TypeError("hidden states teach nothing without the teacher's head")
            return HiddenTargets(columns["hidden"].to(head), head, kind)
