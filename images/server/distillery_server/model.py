"""The student in memory: texts in, probabilities and timings out."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from distillery_api.artifact import ArtifactManifest
from distillery_engine import ArtifactInvalid, Text, TextModel
from numpy.typing import NDArray


@dataclass(frozen=True)
class Prediction:
    """Probabilities float32 [texts, labels], or scores [texts, 1], and the seconds that went into them."""

    values: NDArray[np.float32]
    preprocess_seconds: float
    infer_seconds: float


class Model:
    """A loaded student. `predict` may be called from several threads at once.

    Raises ArtifactInvalid where the files do not load or a first run fails.
    """

    def __init__(self, folder: Path, manifest: ArtifactManifest, rows_per_run: int) -> None:
        self._engine = TextModel(folder, manifest, threads=1)  # one thread a request, one request a CPU
        self._rows_per_run = rows_per_run
        self.manifest = manifest
        self.labels = self._engine.labels  # none where it scores
        self.takes_query = manifest.preprocessing.query
        self._warm_up()

    def _warm_up(self) -> None:
        # The first run allocates; it also shows that the graph runs, before anyone is told that it is ready.
        try:
            values = self.predict([("warm", "up") if self.takes_query else "warm up"]).values
        except Exception as error:
            raise ArtifactInvalid(f"{self.manifest.model} does not run: {error}; publish the artifact again") from error
        if not np.isfinite(values).all():
            raise ArtifactInvalid(f"{self.manifest.model} gave {values} for one text; publish it again")

    def predict(self, texts: Sequence[Text]) -> Prediction:
        """Probabilities or score of each text, in the order given; texts of similar length share a run, to pad less."""
        started = time.perf_counter()
        rows = self._engine.encoder.encode(texts)
        tokenized = time.perf_counter()
        logits = np.empty((len(rows), len(self.labels) or 1), dtype=np.float32)
        order = sorted(range(len(rows)), key=lambda index: len(rows[index]))
        for start in range(0, len(order), self._rows_per_run):
            part = order[start : start + self._rows_per_run]
            logits[part] = self._engine.run(self._engine.encoder.collate([rows[index] for index in part]))
        values = softmax(logits) if self.labels else logits
        return Prediction(values, tokenized - started, time.perf_counter() - tokenized)


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probabilities over the last axis, safe for large logits."""
    exponentials: NDArray[np.float32] = np.exp(logits - logits.max(axis=-1, keepdims=True))
    probabilities: NDArray[np.float32] = exponentials / exponentials.sum(axis=-1, keepdims=True)
    return probabilities
