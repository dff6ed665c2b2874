"""An artifact that is loaded and ready to answer."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnxruntime as ort
from distillery_api.artifact import ArtifactManifest
from numpy.typing import NDArray

from .tokenization import Text, TextTokenizer

INPUTS = ("input_ids", "attention_mask")
OUTPUT = "logits"
LOG_ERRORS_ONLY = 3


class ArtifactInvalid(Exception):  # noqa: N818 - named for what is found
    """The files of an artifact cannot serve what its manifest says."""


class TextModel:
    """A student on texts, on onnxruntime's CPU provider. Its methods may be called from several threads at once.

    Raises ArtifactInvalid when the files do not load or the graph has another interface than the manifest.
    """

    def __init__(self, folder: Path, manifest: ArtifactManifest, threads: int = 1) -> None:
        self.labels: list[str] = list(manifest.labels)
        self._width = len(self.labels) or 1  # a score has no name
        preprocessing = manifest.preprocessing
        try:
            self.encoder = TextTokenizer(
                folder / preprocessing.tokenizer, preprocessing.max_length, preprocessing.pad_token_id
            )
            self._session = ort.InferenceSession(
                str(folder / manifest.model), session_options(threads), providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # both libraries raise bare exceptions of many types
            raise ArtifactInvalid(f"{folder} does not load: {error}; publish the artifact again") from error
        self._check_graph(manifest)

    def _check_graph(self, manifest: ArtifactManifest) -> None:
        inputs = {item.name for item in self._session.get_inputs()}
        if inputs != set(INPUTS):
            raise ArtifactInvalid(f"{manifest.model} takes inputs {sorted(inputs)}, not {sorted(INPUTS)}")
        outputs = {item.name: item.shape for item in self._session.get_outputs()}
        if OUTPUT not in outputs or outputs[OUTPUT][-1] != self._width:
            raise ArtifactInvalid(
                f"{manifest.model} has outputs {outputs}; the manifest wants '{OUTPUT}', {self._width} a row"
            )

    def outputs(self, texts: Sequence[Text]) -> NDArray[np.float32]:
        """Outputs float32 [len(texts), outputs]; all texts run as one batch, padded to the longest."""
        if not texts:
            return np.zeros((0, self._width), dtype=np.float32)
        return self.run(self.encoder.batch(texts))

    def run(self, batch: NamedTuple) -> NDArray[np.float32]:
        """Outputs float32 [rows, outputs] of a batch whose fields are named like the graph's inputs."""
        logits: NDArray[np.float32] = self._session.run([OUTPUT], batch._asdict())[0]
        return logits


def session_options(threads: int) -> ort.SessionOptions:
    """Fixed threads and no spinning: a spinning pool burns the CPU quota of a container while it waits."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = LOG_ERRORS_ONLY
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options
