"""A teacher as an ONNX file: a black box with named inputs, whose output is named `logits` or `probabilities`."""

from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from distillery_engine.onnx_model import session_options
from numpy.typing import NDArray

from ..data.files import first_line
from ..errors import InputRefused

LOGITS, PROBABILITIES = "logits", "probabilities"
SUM_TOLERANCE = 0.02  # quantized graphs round their softmax
TYPES = {
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
}


class OnnxModel:
    """A classifier on onnxruntime's CPU provider.

    Raises InputRefused: WeightsCorrupt where the file does not load, ModelUnsupported where it has no output by one of
    the two names. Custom operators are refused by the runtime: no code comes with a model.
    """

    def __init__(self, path: Path, uri: str, threads: int = 1) -> None:
        self.uri = uri
        try:
            self._session = ort.InferenceSession(
                str(path), session_options(threads), providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # the runtime raises bare exceptions of many types
            raise InputRefused(
                "WeightsCorrupt", f"teachers: {uri}/{path.name} does not load: {first_line(error)}; upload it again"
            ) from error
        self.inputs: dict[str, Any] = {item.name: TYPES.get(item.type) for item in self._session.get_inputs()}
        outputs = [item.name for item in self._session.get_outputs()]
        found = [name for name in (LOGITS, PROBABILITIES) if name in outputs]
        if not found:
            raise InputRefused(
                "ModelUnsupported",
                f"teachers: {uri}/{path.name} has outputs {outputs}; name the one with a number for each label"
                f" '{LOGITS}' or '{PROBABILITIES}', so that it is known what the numbers are",
            )
        self._output = found[0]

    def check_inputs(self, given: Set[str]) -> None:
        """Raise InputRefused (ModelUnsupported) where the graph takes an input that the task does not give."""
        unknown = sorted(name for name in self.inputs if name not in given or self.inputs[name] is None)
        if unknown:
            raise InputRefused(
                "ModelUnsupported",
                f"teachers: {self.uri} takes input '{unknown[0]}', and the task gives {sorted(given)} as whole numbers"
                " or floats; export the model with those inputs",
            )

    def logits(self, feeds: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        """Logits float32 [rows, labels] from arrays by input name; inputs that the graph lacks are left out.

        From probabilities they are the logarithm, so that softmax gives the probabilities back.
        Raises InputRefused (WeightsCorrupt) for rows that are no probabilities.
        """
        taken = {name: feeds[name].astype(kind, copy=False) for name, kind in self.inputs.items()}
        output: NDArray[np.float32] = np.asarray(self._session.run([self._output], taken)[0], dtype=np.float32)
        return output if self._output == LOGITS else log_probabilities(output, self.uri)


def log_probabilities(p: NDArray[np.float32], uri: str) -> NDArray[np.float32]:
    """log p float32 [rows, labels], finite: a probability of 0 counts as the smallest normal float32."""
    if not (np.isfinite(p).all() and (p >= 0).all() and np.allclose(p.sum(axis=-1), 1, atol=SUM_TOLERANCE)):
        raise InputRefused(
            "WeightsCorrupt",
            f"teachers: {uri} gives '{PROBABILITIES}' that are below 0 or do not add up to 1;"
            f" name the output '{LOGITS}' if that is what it is",
        )
    logs: NDArray[np.float32] = np.log(np.maximum(p, np.finfo(np.float32).tiny))
    return logs
