"""The next token of a text: judged by perplexity, text by text."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from distillery_api.distillationjob import GateSpec
from distillery_api.objective import Objective
from distillery_gate import LikelihoodItems, Verdict
from numpy.typing import NDArray

from ..data.files import Rows
from ..data.splits import validation_rows
from .head import Answer, Head, decided


class NextToken(Head):
    """A model's answer to a block is the mean negative log-likelihood of its tokens, in nats."""

    labels = ()
    outputs = 1

    def __init__(self, temperature: float = 1.0) -> None:
        self.temperature = temperature  # of the soft labels

    def resolved(self, objective: Objective) -> Objective:
        """At the temperature of the soft labels, unless another one is set."""
        return objective.model_copy(update={"temperature": objective.temperature or self.temperature})

    def validation(self, rows: Rows, seed: int) -> NDArray[np.bool_]:
        """A tenth of the items."""
        names = self.items(rows)
        return validation_rows(names, [0] * len(names), None, seed)

    def answers(self, outputs: NDArray[np.float32]) -> list[Answer]:
        """Nats per token, by block."""
        return [float(nll) for nll in outputs[:, 0]]

    def truths(self, rows: Rows) -> dict[str, list[Answer]]:
        """The document of each block, and how many of its tokens are predicted."""
        assert rows.groups is not None  # noqa: S101 - rows are cut into blocks before
        return {"document": list(rows.groups), "tokens": [block.predicted for block in rows.inputs]}

    def judge(self, rows: Rows, answers: Mapping[str, Sequence[Any]], gate: GateSpec) -> Verdict:
        """By how likely the models find each document."""
        documents, places = np.unique(np.array(rows.groups), return_inverse=True)
        tokens = np.array([block.predicted for block in rows.inputs], dtype=np.float64)

        def by_document(values: NDArray[np.float64]) -> NDArray[np.float64]:
            return np.bincount(places, values).astype(np.float64)

        totals = {name: by_document(tokens * np.array(nats)) for name, nats in answers.items()}
        return decided(LikelihoodItems(ids=documents.tolist(), tokens=by_document(tokens), **totals), gate)
