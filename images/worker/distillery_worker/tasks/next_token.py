"""The next token of a text: judged by perplexity, text by text."""

from collections.abc import Hashable, Sequence

import numpy as np
from distillery_api.objective import Objective
from distillery_gate import LikelihoodItems
from numpy.typing import NDArray

from ..data.files import Rows
from ..data.splits import validation_rows
from .head import Answer, Head


class NextToken(Head):
    """A model's answer to a block is the mean negative log-likelihood of its tokens, in nats."""

    labels = ()
    outputs = 1
    metric = LikelihoodItems.metric

    def __init__(self, temperature: float = 1.0) -> None:
        self.temperature = temperature  # of the soft labels

    def resolved(self, objective: Objective) -> Objective:
        """At the temperature of the soft labels, unless another one is set."""
        return objective.model_copy(update={"temperature": objective.temperature or self.temperature})

    def judged(self, rows: Rows) -> Sequence[Hashable]:
        """Documents or groups count, not their blocks."""
        return self.items(rows)

    def validation(self, rows: Rows, seed: int) -> NDArray[np.bool_]:
        """A tenth of the items."""
        names = self.items(rows)
        return validation_rows(names, [0] * len(names), None, seed)

    def answers(self, outputs: NDArray[np.float32]) -> list[Answer]:
        """Nats per token, by block."""
        return [float(nll) for nll in outputs[:, 0]]

    def truths(self, rows: Rows) -> dict[str, list[Answer]]:
        """How many tokens of each block are predicted."""
        return {"tokens": [block.predicted for block in rows.inputs]}
