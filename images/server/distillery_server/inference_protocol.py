"""Open Inference Protocol v2, REST: one BYTES tensor `text` or `image` in, `label` and `probabilities` out."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from distillery_api.artifact import ArtifactManifest, ImagePreprocessing, TextPreprocessing
from numpy.typing import NDArray

from .errors import Refused
from .fields import kind
from .inputs import INPUTS, Inputs
from .limits import Limits

OUTPUTS = ("label", "probabilities")


@dataclass(frozen=True)
class InferRequest:
    """Inputs [n] and the names of the outputs to send back."""

    id: str | None
    inputs: list[Any]
    outputs: tuple[str, ...]


def model_metadata(name: str, version: str, manifest: ArtifactManifest) -> dict[str, Any]:
    """What GET /v2/models/{name} answers; `parameters` has the label names, in the order of `probabilities`."""
    return {
        "name": name,
        "versions": [version],
        "platform": "onnxruntime_onnx",
        "inputs": [{"name": INPUTS[manifest.preprocessing.kind].one, "datatype": "BYTES", "shape": [-1]}],
        "outputs": [
            {"name": "label", "datatype": "BYTES", "shape": [-1]},
            {"name": "probabilities", "datatype": "FP32", "shape": [-1, len(manifest.labels)]},
        ],
        "parameters": {"labels": manifest.labels, **input_limits(manifest.preprocessing)},
    }


def input_limits(preprocessing: TextPreprocessing | ImagePreprocessing) -> dict[str, int]:
    """How much of an input the model sees: tokens of a text, pixels of an image."""
    if isinstance(preprocessing, TextPreprocessing):
        return {"max_length": preprocessing.max_length}
    return {"height": preprocessing.height, "width": preprocessing.width, "channels": preprocessing.channels}


def parse_infer(body: dict[str, Any], expected: Inputs, limits: Limits) -> InferRequest:
    """Read an inference request. Raises Refused with the field that is wrong."""
    request_id = body.get("id")
    if request_id is not None and not isinstance(request_id, str):
        raise Refused(400, f"id: is a {kind(request_id)}; send a string, or leave it out")
    inputs = body.get("inputs")
    if not isinstance(inputs, list) or len(inputs) != 1 or not isinstance(inputs[0], dict):
        raise Refused(400, f"inputs: must be a list of one tensor, named {expected.one}")
    return InferRequest(request_id, _data(inputs[0], expected, limits), _outputs(body.get("outputs")))


def _data(tensor: dict[str, Any], expected: Inputs, limits: Limits) -> list[Any]:
    if tensor.get("name") != expected.one:
        raise Refused(400, f"inputs[0].name: {tensor.get('name')!r}; the one input is named {expected.one}")
    if tensor.get("datatype") != "BYTES":
        raise Refused(400, f"inputs[0].datatype: {tensor.get('datatype')!r}; {expected.one} is BYTES")
    shape, data = tensor.get("shape"), tensor.get("data")
    if not isinstance(data, list):
        raise Refused(400, "inputs[0].data: must be a list of strings (binary tensor data is not supported)")
    flat = [item for row in data for item in (row if isinstance(row, list) else [row])]
    found = expected.read(flat, "inputs[0].data", limits)
    if shape not in ([len(found)], [len(found), 1]):
        raise Refused(
            400, f"inputs[0].shape: {shape}; for {len(found)} {expected.many} it is [{len(found)}] or [{len(found)}, 1]"
        )
    return found


def _outputs(requested: Any) -> tuple[str, ...]:
    if requested is None or requested == []:
        return OUTPUTS
    if not isinstance(requested, list) or not all(isinstance(output, dict) for output in requested):
        raise Refused(400, 'outputs: must be a list of objects such as {"name": "label"}')
    for index, output in enumerate(requested):
        if output.get("name") not in OUTPUTS:
            raise Refused(400, f"outputs[{index}].name: {output.get('name')!r}; there are {' and '.join(OUTPUTS)}")
    return tuple(output["name"] for output in requested)


def infer_response(
    request: InferRequest, name: str, version: str, labels: list[str], probabilities: NDArray[np.float32]
) -> dict[str, Any]:
    """The answer; probabilities are flat, row by row, as the protocol asks."""
    rows = len(probabilities)
    best = [labels[index] for index in probabilities.argmax(axis=-1)]
    tensors: dict[str, dict[str, Any]] = {
        "label": {"datatype": "BYTES", "shape": [rows], "data": best},
        "probabilities": {
            "datatype": "FP32",
            "shape": [rows, len(labels)],
            "data": probabilities.ravel().tolist(),
        },
    }
    response = {"model_name": name, "model_version": version}
    if request.id is not None:
        response["id"] = request.id
    return {**response, "outputs": [{"name": output, **tensors[output]} for output in request.outputs]}
