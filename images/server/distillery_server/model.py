"""The student in memory: texts or images in, probabilities or scores and timings out."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from distillery_api.artifact import ArtifactManifest, TextPreprocessing
from distillery_engine import ArtifactInvalid, open_model
from numpy.typing import NDArray

from .inputs import INPUTS


@dataclass(frozen=True)
class Prediction:
    """Probabilities float32 [inputs, labels], or scores [inputs, 1], and the seconds that went into them."""

    values: NDArray[np.float32]
    preprocess_seconds: float
    infer_seconds: float


class Model:
    """A loaded student. `predict` may be called from several threads at once.

    Raises ArtifactInvalid where the files do not load or a first run fails.
    """

    def __init__(self, folder: Path, manifest: ArtifactManifest, rows_per_run: int) -> None:
        self._engine = open_model(folder, manifest, threads=1)  # one thread a request, one request a CPU
        self._rows_per_run = rows_per_run
        self.manifest = manifest
        self.labels = self._engine.labels  # none where it scores
        self.inputs = INPUTS[manifest.preprocessing.kind]
        self.takes_query = isinstance(manifest.preprocessing, TextPreprocessing) and manifest.preprocessing.query
        self._warm_up()

    def _warm_up(self) -> None:
        # The first run allocates; it also shows that the graph runs, before anyone is told that it is ready.
        try:
            values = self.predict([self._engine.sample]).values
        except Exception as error:
            raise ArtifactInvalid(f"{self.manifest.model} does not run: {error}; publish the artifact again") from error
        if not np.isfinite(values).all():
            raise ArtifactInvalid(f"{self.manifest.model} gave {values} for one input; publish it again")

    def predict(self, inputs: list[Any]) -> Prediction:
        """Probabilities or score of each input, in the order given; texts of similar length share a run, to pad less.

        Raises ImageUnreadable.
        """
        started = time.perf_counter()
        rows = self._engine.encoder.encode(inputs)
        encoded = time.perf_counter()
        logits = np.empty((len(rows), len(self.labels) or 1), dtype=np.float32)
        order = sorted(range(len(rows)), key=lambda index: len(rows[index]))
        for start in range(0, len(order), self._rows_per_run):
            part = order[start : start + self._rows_per_run]
            logits[part] = self._engine.run(self._engine.encoder.collate([rows[index] for index in part]))
        values = softmax(logits) if self.labels else logits
        return Prediction(values, encoded - started, time.perf_counter() - encoded)


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probabilities over the last axis, safe for large logits."""
    exponentials: NDArray[np.float32] = np.exp(logits - logits.max(axis=-1, keepdims=True))
    probabilities: NDArray[np.float32] = exponentials / exponentials.sum(axis=-1, keepdims=True)
    return probabilities
