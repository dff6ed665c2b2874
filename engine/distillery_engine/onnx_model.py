"""An artifact that is loaded and ready to answer."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import onnxruntime as ort
from distillery_api.artifact import ArtifactManifest
from numpy.typing import NDArray

OUTPUT = "logits"
LOG_ERRORS_ONLY = 3


class ArtifactInvalid(Exception):  # noqa: N818 - named for what is found
    """The files of an artifact cannot serve what its manifest says."""


class Encoder(Protocol):
    """Turns inputs into batches."""

    def encode(self, inputs: Sequence[Any]) -> list[Any]:
        """One encoded row an input; its len() tells what it costs."""

    def collate(self, rows: Sequence[Any]) -> NamedTuple:
        """Encoded rows (at least one) as one batch; its fields are named like the graph's inputs."""


class OnnxModel(ABC):
    """A student on onnxruntime's CPU provider. Its methods may be called from several threads at once.

    Raises ArtifactInvalid when the files do not load or the graph has another interface than the manifest.
    """

    takes: tuple[str, ...]  # inputs of the graph

    def __init__(self, folder: Path, manifest: ArtifactManifest, threads: int = 1) -> None:
        self.labels: list[str] = list(manifest.labels)
        self._width = len(self.labels) or 1  # a score has no name
        try:
            self.encoder = self.encoder_of(folder, manifest)
            self._session = ort.InferenceSession(
                str(folder / manifest.model), session_options(threads), providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # the libraries raise bare exceptions of many types
            raise ArtifactInvalid(f"{folder} does not load: {error}; publish the artifact again") from error
        self._check_graph(manifest)

    @abstractmethod
    def encoder_of(self, folder: Path, manifest: ArtifactManifest) -> Encoder:
        """The encoder of the model's inputs."""

    @property
    @abstractmethod
    def sample(self) -> Any:
        """An input that every model of the kind takes."""

    def _check_graph(self, manifest: ArtifactManifest) -> None:
        inputs = {item.name for item in self._session.get_inputs()}
        if inputs != set(self.takes):
            raise ArtifactInvalid(f"{manifest.model} takes inputs {sorted(inputs)}, not {sorted(self.takes)}")
        outputs = {item.name: item.shape for item in self._session.get_outputs()}
        if OUTPUT not in outputs or outputs[OUTPUT][-1] != self._width:
            raise ArtifactInvalid(
                f"{manifest.model} has outputs {outputs}; the manifest wants '{OUTPUT}', {self._width} a row"
            )

    def outputs(self, inputs: Sequence[Any]) -> NDArray[np.float32]:
        """Outputs float32 [inputs, outputs]; all inputs run as one batch."""
        if not inputs:
            return np.zeros((0, self._width), dtype=np.float32)
        return self.run(self.encoder.collate(self.encoder.encode(inputs)))

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
